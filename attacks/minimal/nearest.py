"""Shared by minimal-norm attacks: the nearest fooling image of all iterates, and the bisection that refines it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.norms import L2, Norm, finite, per_sample
from attacks.objectives import margin
from attacks.queue import State, drive
from attacks.samples import Samples

_ROUNDINGS = 64  # units of rounding by which a logit may change if a layer sums in another order
_LESS = 1 - 1e-6  # sizes equal up to rounding count as equal, so that rounding does not choose


@dataclass(frozen=True)
class Nearest:
    """The nearest image found so far; one row a sample of the batch."""

    images: Tensor
    """(N, C, H, W): the nearest that fools; before there is one, the one with the highest value."""
    sizes: Tensor
    """(N,): its distance from the clean image, in the measure that the attack minimises; infinite before one fools."""
    values: Tensor
    """(N,): the objective (larger is closer to success) at `images`."""
    settled: Tensor
    """(N,) bool: whether the search is over: an image within eps fools, or eps is 0."""

    @classmethod
    def of(cls, samples: Samples) -> "Nearest":
        """Begin with the clean images, none of them known to fool."""
        unknown = torch.full_like(samples.eps, torch.inf)
        return cls(samples.images, unknown, -unknown, samples.eps == 0)

    def offered(
        self,
        samples: Samples,
        candidate: Tensor,
        *,
        fooled: Tensor,
        sizes: Tensor,
        values: Tensor,
        distances: Tensor | None = None,
        closed: Tensor,
    ) -> "Nearest":
        """Take over the candidates that are better, except for samples that are `closed` (N,) or settled.

        `sizes` are in the norm of eps; `distances` in the measure that is minimised, where that differs. A size even a
        rounding error above eps does not settle a sample, so that settled results need no projection.
        """
        distances = sizes if distances is None else distances
        higher = (self.sizes == torch.inf) & (values > self.values)
        within = sizes <= samples.eps.nan_to_num(posinf=0.0)  # without eps only nothing is near enough
        better = torch.where(fooled, (distances < self.sizes * _LESS) | within, higher) & ~(closed | self.settled)
        nearer = better & fooled
        return Nearest(
            images=torch.where(better[:, None, None, None], candidate, self.images),
            sizes=torch.where(nearer, distances, self.sizes),
            values=torch.where(better, values, self.values),
            settled=self.settled | (nearer & within),
        )


class Searching(State, Protocol):
    """The state of a minimal-norm attack."""

    @property
    def nearest(self) -> Nearest: ...


def cosine(first: float, last: float, steps: int, images: Tensor) -> Tensor:
    """Cosine annealing: (steps,) values that fall from `first` towards `last` (Loshchilov & Hutter, 2017)."""
    shares = [(1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    return images.new_tensor([last + (first - last) * share for share in shares])


def free(gradient: Tensor, current: Tensor) -> Tensor:
    """Zero the gradient of pixels at a bound of [0, 1] that it would push outside, and NaN; infinities become finite.

    A pixel within 1e-6 counts as at its bound, so that rounding does not decide.
    """
    gradient = finite(gradient)
    return torch.where(torch.where(gradient > 0, 1 - current, current) > 1e-6, gradient, 0)


def onto_sphere(delta: Tensor, radius: Tensor) -> Tensor:
    """Rescale perturbations to the l2 norm `radius` (N,); a zero perturbation stays zero."""
    size = L2.size(delta)
    return delta * per_sample(radius / torch.where(size > 0, size, 1), delta)


def farthest(images: Tensor) -> Tensor:
    """(N, C, H, W): the largest change that [0, 1] allows each pixel."""
    return images.maximum(1 - images)


def margins(samples: Samples, logits: Tensor) -> Tensor:
    """(N, classes) logits to (N,) margins, above 0 where the attack has reached its aim."""
    return samples.objective(logits, loss=margin)


def conclude(
    classifier: Classifier,
    samples: Samples,
    norm: Norm,
    states: Iterable[Searching],
    *,
    search_steps: int = 0,
    confidence: float = 0.0,
    reach: float = 1.0,
    batch_size: int | None = None,
    compact: bool = True,
) -> Tensor:
    """Collect the states that leave an attack, refine by `search_steps` of bisection, and return the result.

    Bisection looks for the smallest ball onto which the found image can be projected and still fools, by more than
    rounding error, with one forward pass a step. Samples with an eps are not refined: their nearest image is projected
    onto the eps-ball, whether it fools or not. `reach` scales perturbations before the projection, so that in linf also
    the pixels well within the ball move to its surface. Without eps a sample that is never fooled is returned
    unchanged.
    """
    images, sizes = samples.images.clone(), torch.full_like(samples.eps, torch.inf)
    for state in states:
        images[state.samples.rows], sizes[state.samples.rows] = state.nearest.images, state.nearest.sizes
    unbounded = samples.eps.isinf()
    never = sizes.isinf() & unbounded
    images = torch.where(never[:, None, None, None], samples.images, images)

    if search_steps > 0:
        wanted = (sizes.isfinite() & (sizes > 0) & unbounded).nonzero().squeeze(1)
        for found in drive(
            samples.select(wanted),
            begin=lambda fresh: _Bisection.of(fresh, images[fresh.rows], norm, reach),
            advance=lambda state: _halve(classifier, norm, confidence, search_steps, state),
            batch_size=batch_size,
            compact=compact,
        ):
            images[found.samples.rows] = found.images

    within = norm.size(images - samples.images) <= samples.eps
    bounded = norm.project(images, samples.images, samples.eps.clamp(max=images.shape[1:].numel()))
    return torch.where(within[:, None, None, None], images, bounded)


@dataclass(frozen=True)
class _Bisection:
    """The nearest known fooling image, what it was projected from (`source`), and the remaining interval of radii."""

    samples: Samples
    source: Tensor
    images: Tensor
    low: Tensor
    high: Tensor
    off: Tensor
    """(N,): bounds on the rounding error of a margin, by the largest logits seen."""
    step: Tensor
    done: Tensor

    @classmethod
    def of(cls, samples: Samples, found: Tensor, norm: Norm, reach: float) -> "_Bisection":
        delta, step = found - samples.images, torch.zeros_like(samples.rows)
        source, size = found + (reach - 1) * delta, norm.size(delta)
        none = torch.zeros_like(size)
        return cls(samples, source, found, none, size, none, step, step > 0)


def _halve(classifier: Classifier, norm: Norm, confidence: float, steps: int, state: _Bisection) -> _Bisection:
    samples, radius = state.samples, (state.low + state.high) / 2
    candidate = norm.project(state.source, samples.images, radius)
    logits = classifier.logits(candidate, rows=samples.rows)
    off = state.off.maximum(rounding(samples, logits))
    fooled = samples.fooled(logits) & (margins(samples, logits) >= off.clamp(min=confidence))
    better = fooled & ~state.done
    return replace(
        state,
        images=torch.where(better[:, None, None, None], candidate, state.images),
        low=torch.where(fooled, state.low, radius),
        high=torch.where(fooled, radius, state.high),
        off=off,
        step=state.step + 1,
        done=state.step + 1 >= steps,
    )


def rounding(samples: Samples, logits: Tensor) -> Tensor:
    """Bound (N,) the change of a margin by rounding, in a batch of another size or on another machine.

    64 units of rounding of the label's logit, plus the square root of the unit times the margin, because small logits
    may be differences of large numbers. Callers pass logits at the clean image: at the boundary both may be 0.
    """
    own, eps = logits.gather(1, samples.labels[:, None]).squeeze(1), torch.finfo(logits.dtype).eps
    return finite(_ROUNDINGS * eps * own.abs() + eps**0.5 * margins(samples, logits).abs())


def reached(samples: Samples, logits: Tensor, confidence: float) -> Tensor:
    """Whether the attack succeeds, by a margin of at least `confidence` where that is above 0: (N,) booleans."""
    fooled = samples.fooled(logits)
    return fooled & (margins(samples, logits) >= confidence) if confidence > 0 else fooled
