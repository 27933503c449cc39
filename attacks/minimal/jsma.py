"""JSMA: a saliency map attack that changes two values at a time, in l0."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.nearest import Nearest, conclude, margins
from attacks.norms import L0, Budget, Norm, finite, named_norm, rows
from attacks.objectives import contenders
from attacks.queue import drive
from attacks.samples import Samples

_CANDIDATES = 128


def jsma(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L0,
    theta: float = 1.0,
    gamma: float = 0.145,
    search_steps: int = 8,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Change few values, two at a time, by a saliency map (Papernot et al., 2016).

    A step moves two values by `theta`, in (0, 1]: the pair whose gradients together raise the target's logit and lower
    the sum of all other logits (of `contenders`), with the largest product of the two; untargeted, the pair that lowers
    the label's logit and raises the others'. Values move up or down, whichever serves the aim (Wiyatno & Xu, 2018);
    those at their bound are left out. Where no pair has both effects, the two values with the largest difference of
    gradients are taken. At most a share `gamma` of the values (the paper's 14.5 %), but at least two, are changed.
    `search_steps` bisection steps then undo changes that were not needed. Costs two forward and two backward passes a
    step.

    Only pairs of the 128 values with the largest differences are tried. The product of a pair is at most the square of
    half the sum of its differences, so values with small differences are hardly ever in the best pair.

    Without `eps` an image that nothing fools comes back as it was. With `eps`, in changed values, a sample leaves at
    the first image within it that fools; where there is none, the best try is projected. Nothing is drawn, so `indices`
    has no effect.
    """
    norm = named_norm(norm)
    if norm.name != "l0":
        raise ValueError(f"jsma has no {norm.name} form: its norm is l0 (fmn takes every norm)")
    if not 0 < theta <= 1 or not 0 < gamma <= 1:
        raise ValueError(f"theta and gamma must be above 0 and at most 1; got {theta} and {gamma}")
    if search_steps < 0:
        raise ValueError(f"search_steps must be 0 or more; got {search_steps}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    steps = max(int(gamma * images.shape[1:].numel() / 2), 1)
    with classifier.frozen():
        states = drive(
            samples,
            begin=_State.of,
            advance=partial(_advance, classifier, steps, theta),
            batch_size=batch_size,
            compact=compact,
        )
        return conclude(
            classifier, samples, norm, states, search_steps=search_steps, batch_size=batch_size, compact=compact
        )


@dataclass(frozen=True)
class _State:
    samples: Samples
    current: Tensor
    step: Tensor
    nearest: Nearest
    done: Tensor

    @classmethod
    def of(cls, samples: Samples) -> "_State":
        step = torch.zeros_like(samples.rows)
        return cls(samples, samples.images, step, Nearest.of(samples), step > 0)


def _advance(classifier: Classifier, steps: int, theta: float, state: _State) -> _State:
    samples, current = state.samples, state.current

    # Gradients of the label's logit and of the others' sum, signed so that the first is to rise and the second to fall.
    sign = 1 if samples.targeted else -1
    own = classifier.gradient(current, lambda logits: sign * _own(samples, logits), rows=samples.rows)
    rest = classifier.gradient(current, lambda logits: sign * _rest(samples, logits), rows=samples.rows)
    fooled, values = samples.fooled(own.logits), margins(samples, own.logits)
    sizes = L0.size(current - samples.images)
    nearest = state.nearest.offered(samples, current, fooled=fooled, sizes=sizes, values=values, closed=state.done)

    # Orient every value in its useful direction, and choose two of those that are not at their bound.
    wanted, others = rows(finite(own.gradient)), rows(finite(rest.gradient))
    way = (wanted - others).sign()
    pixels = rows(current)
    room = torch.where(way > 0, 1 - pixels, pixels) > 1e-6
    pair = _pair(wanted * way, others * way, room & (way != 0))
    chosen = torch.zeros_like(room).scatter(1, pair, True) & room & (way != 0)
    moved = (pixels + torch.where(chosen, theta * way, 0)).clamp(0, 1).reshape(current.shape)
    done = nearest.settled | nearest.sizes.isfinite() | (state.step >= steps) | ~chosen.any(dim=1)
    return _State(samples, moved, state.step + 1, nearest, done)


def _own(samples: Samples, logits: Tensor) -> Tensor:
    samples.objective(logits.detach())  # refuses a label beyond the classes
    labels = samples.labels.clone()  # in inference mode autograd would refuse the labels themselves
    return logits.gather(1, labels[:, None]).squeeze(1)


def _rest(samples: Samples, logits: Tensor) -> Tensor:
    """The sum of the logits of all `contenders` but the label."""
    counts = contenders(logits.detach()).scatter(1, samples.labels[:, None], False)
    return torch.where(counts, logits, 0).sum(dim=1)


def _pair(wanted: Tensor, others: Tensor, usable: Tensor) -> Tensor:
    """Choose the two values of each row with the largest saliency product: three times (N, values) to (N, 2)."""
    gaps = torch.where(usable, wanted - others, -torch.inf)
    order = gaps.argsort(dim=1, descending=True, stable=True)[:, :_CANDIDATES]
    wanted, others, usable = (values.gather(1, order) for values in (wanted, others, usable))
    raised, lowered = _sums(wanted), -_sums(others)
    serves = (raised > 0) & (lowered > 0) & usable[:, :, None] & usable[:, None]
    scores = torch.where(serves, raised * lowered, 0).triu(diagonal=1).flatten(1)
    top, place = scores.max(dim=1)
    width = order.shape[1]
    best = torch.stack([place // width, place % width], dim=1)
    largest_gaps = torch.arange(2, device=order.device).clamp(max=width - 1)
    return order.gather(1, torch.where((top > 0)[:, None], best, largest_gaps))


def _sums(values: Tensor) -> Tensor:
    return values[:, :, None] + values[:, None]
