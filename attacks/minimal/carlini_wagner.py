"""Carlini-Wagner: minimise the perturbation's size plus a weighted margin, over a tanh reparametrisation of images."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.adam import Adam
from attacks.minimal.nearest import Nearest, conclude, margins, reached
from attacks.minimal.tradeoff import Progress, Weight, start_over, unit
from attacks.norms import L2, Budget, Norm, finite, named_norm, per_sample, rows
from attacks.queue import drive
from attacks.samples import Samples

_SQUEEZE = 0.999999
"""Factor that keeps black and white pixels where tanh has a gradient; without it they would never move."""
_HALVINGS = 8
_SHRINK = 0.9
_GROWTH, _LARGEST = 10.0, 20.0
_PRECISION = 0.01
_REACH = 10.0  # Adam leaves most pixels within the linf limit; pushed to it, they make the result up to a third smaller


def carlini_wagner(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L2,
    steps: int = 1000,
    step_size: float = 0.01,
    search_steps: int | None = None,
    start_weight: float = 0.001,
    confidence: float = 0.0,
    abort_early: bool = True,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Minimise perturbation size and margin loss with Adam (Carlini & Wagner, 2017), in l2 or linf.

    In l2 the loss is the squared size plus weight * max(0, confidence - margin), and `search_steps` (default 9)
    descents of at most `steps` each find the weight by bisection, from `start_weight`.

    In linf the loss is the sum of each pixel's excess over a limit (the paper's tau), plus the same margin term. The
    limit starts at 1. After a descent that fools within it, it falls to 0.9 of the size found; after one that does not,
    the weight grows tenfold, from `start_weight`. Once the weight is 20 or more the limit is bisected to within 1 %,
    where the paper stops. A descent ends where its loss is 0, the next starts from its end, and a sample has at most
    `search_steps` (default 60). The step size shrinks with the limit.

    `confidence` is the margin of logits by which an image has to fool (the paper's kappa). `abort_early` ends a descent
    whose loss no longer falls, unless its pixels still move steadily: black and white ones do so long before the loss
    shows it. Eight bisection steps towards the clean image then reduce the result. Costs a forward and a backward pass
    a step.

    Without `eps` the smallest change is searched, and an image that nothing fools comes back as it was. With `eps` a
    sample leaves at the first image within it that fools; where there is none, the best try is projected. Nothing is
    drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    if norm.name not in ("l2", "linf"):
        raise ValueError(f"carlini_wagner has no {norm.name} form: choose from l2, linf")
    searches = (9 if norm is L2 else 60) if search_steps is None else search_steps
    _check(steps=steps, step_size=step_size, search_steps=searches, start_weight=start_weight, confidence=confidence)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    plan = _Plan(classifier, norm, steps, step_size, searches, confidence, abort_early)
    with classifier.frozen():
        states = drive(
            samples,
            begin=partial(_State.of, weight=start_weight),
            advance=partial(_advance, plan),
            batch_size=batch_size,
            compact=compact,
        )
        return conclude(
            classifier,
            samples,
            norm,
            states,
            search_steps=_HALVINGS,
            confidence=confidence,
            reach=1 if norm is L2 else _REACH,
            batch_size=batch_size,
            compact=compact,
        )


@dataclass(frozen=True)
class _Plan:
    classifier: Classifier
    norm: Norm
    steps: int
    step_size: float
    search_steps: int
    confidence: float
    abort_early: bool


@dataclass(frozen=True)
class _State:
    samples: Samples
    point: Tensor
    """(N, C, H, W): the image in the unbounded space of atanh."""
    adam: Adam
    weight: Weight
    unit: Tensor
    """(N,): of the margin; see `tradeoff.unit`."""
    limit: Tensor
    """(N,): in linf, the paper's tau: changes of a pixel up to it cost nothing."""
    floor: Tensor
    """(N,): in linf, the largest limit within which no descent has fooled."""
    progress: Progress
    nearest: Nearest
    done: Tensor

    @classmethod
    def of(cls, samples: Samples, weight: float) -> "_State":
        progress, start = Progress.of(samples), _unbounded(samples.images)
        return cls(
            samples=samples,
            point=start,
            adam=Adam.of(start),
            weight=Weight.of(samples, weight),
            unit=torch.ones_like(samples.eps),
            limit=torch.ones_like(samples.eps),
            floor=torch.zeros_like(samples.eps),
            progress=progress,
            nearest=Nearest.of(samples),
            done=progress.step > 0,
        )


def _unbounded(images: Tensor) -> Tensor:
    return torch.atanh((2 * images - 1) * _SQUEEZE)


def _advance(plan: _Plan, state: _State) -> _State:
    samples, images, before = state.samples, state.samples.images, state.progress

    # Evaluate; at the very first step the image itself, which `_SQUEEZE` would change.
    tangent = state.point.tanh()
    first = (before.step == 0) & (before.search == 0)
    current = start_over(first, (tangent + 1) / 2, images)
    found = plan.classifier.gradient(current, partial(margins, samples), rows=samples.rows)
    success, sizes = reached(samples, found.logits, plan.confidence), plan.norm.size(current - images)
    nearest = state.nearest.offered(
        samples, current, fooled=success, sizes=sizes, values=found.values, closed=state.done
    )

    # Descend: the gradient of the loss in the pixels, then through tanh.
    units = torch.where(first, unit(found.logits, found.gradient), state.unit) if bool(first.any()) else state.unit
    delta, lacking = current - images, (plan.confidence - found.values).clamp(min=0) / units
    over = (delta.abs() - per_sample(state.limit, images)).clamp(min=0)
    cost, slope = (sizes**2, 2 * delta) if plan.norm is L2 else (rows(over).sum(dim=1), delta.sign() * (over > 0))
    loss = cost + state.weight.value * lacking
    weight = torch.where(lacking > 0, state.weight.value, 0)
    push = per_sample(weight, images) * finite(found.gradient / per_sample(units, images))
    length = torch.full_like(sizes, plan.step_size)
    if plan.norm is not L2:  # steps beyond the limit could not tell what is within it
        length = length * (10 * state.limit).clamp(max=1)
    adam, move = state.adam.move(finite((slope - push) * (1 - tangent * tangent) / 2), before.step, length)

    # End the descents that have converged or used up their steps.
    advanced = replace(state, point=state.point + move, adam=adam, unit=units, nearest=nearest)
    end = _end_in_l2 if plan.norm is L2 else _end_in_linf
    settling = rows(move).abs().mean(dim=1) < length / 2 if plan.abort_early else torch.zeros_like(success)
    return end(plan, advanced, loss, success, sizes, settling)


def _end_in_l2(plan: _Plan, state: _State, loss: Tensor, success: Tensor, sizes: Tensor, settling: Tensor) -> _State:
    reached_now = state.progress.reached | success
    progress, ended = state.progress.after(loss, success, steps=plan.steps, may_stop=settling)
    return replace(
        state,
        point=start_over(ended, state.point, _unbounded(state.samples.images)),
        adam=state.adam.restarted(ended),
        weight=state.weight.tried(reached_now, ended),
        progress=progress,
        done=state.nearest.settled | (progress.search >= plan.search_steps),
    )


def _end_in_linf(plan: _Plan, state: _State, loss: Tensor, success: Tensor, sizes: Tensor, settling: Tensor) -> _State:
    reached_now, best = state.progress.reached | success, state.nearest.sizes
    nil = success & (sizes <= state.limit)
    progress, ended = state.progress.after(loss, success, steps=plan.steps, may_stop=settling, stops=nil)
    fell = ended & reached_now & (best <= state.limit * (1 + 1e-6))
    held = ended & ~fell
    out_of_weight = state.weight.value >= _LARGEST
    floor = torch.where(held & out_of_weight & best.isfinite(), state.limit.maximum(state.floor), state.floor)
    value = torch.where(held & ~out_of_weight, state.weight.value * _GROWTH, state.weight.value)
    lower = torch.where(best.isfinite(), (_SHRINK * best).maximum((floor + best) / 2), state.limit)
    narrow = best.isfinite() & (best - floor <= _PRECISION * best)
    return replace(
        state,
        adam=state.adam.restarted(ended),
        weight=replace(state.weight, value=value),
        limit=torch.where(fell | (held & out_of_weight), lower, state.limit),
        floor=floor,
        progress=progress,
        done=state.nearest.settled | narrow | (progress.search >= plan.search_steps),
    )


def _check(*, steps: int, step_size: float, search_steps: int, start_weight: float, confidence: float) -> None:
    if steps < 1 or search_steps < 1:
        raise ValueError(f"steps and search_steps must be 1 or more; got {steps} and {search_steps}")
    if not step_size > 0 or not start_weight > 0:
        raise ValueError(f"step_size and start_weight must be above 0; got {step_size} and {start_weight}")
    if not 0 <= confidence < float("inf"):
        raise ValueError(f"confidence must be finite and 0 or above; got {confidence}")
