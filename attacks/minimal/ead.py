"""EAD: minimise an elastic net penalty plus a weighted margin loss by FISTA, whose shrinkage makes changes sparse."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.nearest import Nearest, conclude, margins, reached
from attacks.minimal.tradeoff import Progress, Weight, start_over, unit
from attacks.norms import L1, L2, Budget, Norm, finite, named_norm, per_sample
from attacks.queue import drive
from attacks.samples import Samples

Rule = Literal["l1", "en"]
"""The decision rule, by which the result is chosen: smallest l1 size, or elastic net beta * l1 + l2^2."""


def ead(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L1,
    steps: int = 1000,
    step_size: float = 0.01,
    search_steps: int = 9,
    start_weight: float = 1.0,
    beta: float = 0.01,
    rule: Rule = "l1",
    confidence: float = 0.0,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the smallest perturbation in l1 that fools, by an elastic net penalty (Chen et al., 2018).

    The loss is beta * l1 + l2^2 + weight * max(0, confidence - margin). A step of FISTA descends the smooth part at an
    extrapolated point and soft-thresholds the perturbation by `beta`. `search_steps` descents of `steps` each find the
    weight by bisection, from `start_weight`: with a hundredth of the default no step is longer than `beta`, and nothing
    moves.

    `rule` chooses among all images that fool: the smallest l1 size, or elastic net. With `l1` eight bisection steps
    then reduce the result. `confidence` is the margin of logits by which an image has to fool. No descent ends early,
    since the loss at the extrapolated point does not fall steadily. Costs two forward passes and a backward pass a
    step, because the extrapolated point and the image differ.

    Without `eps` the smallest change is searched, and an image that nothing fools comes back as it was. With `eps`, in
    l1, a sample leaves at the first image within it that fools; where there is none, the best try is projected. Nothing
    is drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    _check(norm, steps, search_steps, step_size, start_weight, beta, confidence, rule)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    plan = _Plan(classifier, steps, step_size, search_steps, beta, rule, confidence)
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
            search_steps=8 if rule == "l1" else 0,
            confidence=confidence,
            batch_size=batch_size,
            compact=compact,
        )


@dataclass(frozen=True)
class _Plan:
    classifier: Classifier
    steps: int
    step_size: float
    search_steps: int
    beta: float
    rule: Rule
    confidence: float


@dataclass(frozen=True)
class _State:
    samples: Samples
    current: Tensor
    ahead: Tensor
    """(N, C, H, W): FISTA's extrapolated point, where the next gradient is taken; may lie outside [0, 1]."""
    weight: Weight
    unit: Tensor
    """(N,): of the margin; see `tradeoff.unit`."""
    progress: Progress
    nearest: Nearest
    done: Tensor

    @classmethod
    def of(cls, samples: Samples, weight: float) -> "_State":
        progress, images = Progress.of(samples), samples.images
        weights, nearest = Weight.of(samples, weight), Nearest.of(samples)
        units = torch.ones_like(samples.eps)
        return cls(samples, images, images, weights, units, progress, nearest, progress.reached)


def _advance(plan: _Plan, state: _State) -> _State:
    samples, images, step = state.samples, state.samples.images, state.progress.step

    # Descend from the extrapolated point.
    found = plan.classifier.gradient(state.ahead, partial(margins, samples), rows=samples.rows)
    new = (step == 0) & (state.progress.search == 0)
    units = torch.where(new, unit(found.logits, found.gradient), state.unit) if bool(new.any()) else state.unit
    delta, lacking = state.ahead - images, (plan.confidence - found.values).clamp(min=0) / units
    weight = torch.where(lacking > 0, state.weight.value, 0)
    push = per_sample(weight, images) * finite(found.gradient / per_sample(units, images))
    length = plan.step_size * (1 - step.to(images.dtype) / plan.steps).clamp(min=0).sqrt()
    moved = finite(delta - per_sample(length, images) * (2 * delta - push))
    current = (images + moved.sign() * (moved.abs() - plan.beta).clamp(min=0)).clamp(0, 1)
    pace = step / (step + 3)
    ahead = current + per_sample(pace, images) * (current - state.current)

    # Evaluate the clean image, where the first step began, and the iterate.
    first = reached(samples, found.logits, plan.confidence) & (state.ahead == images).flatten(1).all(dim=1)
    nearest = _offered(plan, state, state.nearest, images, first, found.values)
    logits = plan.classifier.logits(current, rows=samples.rows)
    success = reached(samples, logits, plan.confidence)
    nearest = _offered(plan, state, nearest, current, success, margins(samples, logits))

    # End the descents that have used up their steps.
    loss = _elastic_net(delta, plan.beta) + state.weight.value * lacking
    reached_now = state.progress.reached | success
    progress, ended = state.progress.after(loss, success, steps=plan.steps, may_stop=torch.zeros_like(success))
    return _State(
        samples=samples,
        current=start_over(ended, current, images),
        ahead=start_over(ended, ahead, images),
        weight=state.weight.tried(reached_now, ended),
        unit=units,
        progress=progress,
        nearest=nearest,
        done=nearest.settled | (progress.search >= plan.search_steps),
    )


def _offered(
    plan: _Plan, state: _State, nearest: Nearest, candidate: Tensor, fooled: Tensor, values: Tensor
) -> Nearest:
    delta = candidate - state.samples.images
    return nearest.offered(
        state.samples,
        candidate,
        fooled=fooled,
        sizes=L1.size(delta),
        values=values,
        distances=_elastic_net(delta, plan.beta) if plan.rule == "en" else None,
        closed=state.done,
    )


def _elastic_net(delta: Tensor, beta: float) -> Tensor:
    return beta * L1.size(delta) + L2.size(delta) ** 2


def _check(
    norm: Norm,
    steps: int,
    search_steps: int,
    step_size: float,
    start_weight: float,
    beta: float,
    confidence: float,
    rule: str,
) -> None:
    if norm.name != "l1":
        raise ValueError(f"ead has no {norm.name} form: its norm is l1 (fmn takes every norm)")
    if steps < 1 or search_steps < 1:
        raise ValueError(f"steps and search_steps must be 1 or more; got {steps} and {search_steps}")
    if not step_size > 0 or not start_weight > 0:
        raise ValueError(f"step_size and start_weight must be above 0; got {step_size} and {start_weight}")
    if not beta >= 0 or not 0 <= confidence < float("inf"):
        raise ValueError(f"beta and confidence must be finite and 0 or above; got {beta} and {confidence}")
    if rule not in ("l1", "en"):
        raise ValueError(f"unknown rule {rule!r}: choose from l1, en")
