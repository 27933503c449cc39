"""What the attacks for the smallest change share: the nearest image that fools, and how it is found more exactly.

Such an attack passes through many images. Of these it returns the nearest that fools, wherever on its way that was.
"""

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

_ROUNDINGS = 64  # of one number, what a sum over a layer may differ by if it is taken in another order
_LESS = 1 - 1e-6  # of two sizes that are equal up to rounding, rounding shall not choose


@dataclass(frozen=True)
class Nearest:
    """The nearest image found so far; one row a sample in play."""

    images: Tensor
    """(N, C, H, W): the nearest that fools; before there is one, that with the highest value."""
    sizes: Tensor
    """(N,): its distance from the sample, in whatever the attack makes small; infinite before one fools."""
    values: Tensor
    """(N,): what the attack wants large, of the images that do not fool."""
    settled: Tensor
    """(N,): whether nothing better is wanted. So where something within eps fools, and always where eps is 0."""

    @classmethod
    def of(cls, samples: Samples) -> "Nearest":
        """Begin with the images themselves, of which nothing is known yet."""
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
        """Take the candidates that are better, but where `closed`, none.

        `sizes` are those that eps bounds; `distances` what is made small where that is something else. A size above eps
        by no more than rounding does not settle a sample, so that the result needs no projection where it does.
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
    """The state of an attack for the smallest change."""

    @property
    def nearest(self) -> Nearest: ...


def cosine(first: float, last: float, steps: int, images: Tensor) -> Tensor:
    """(steps,) values that fall from `first` towards `last` along half a period (Loshchilov & Hutter, 2017)."""
    shares = [(1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    return images.new_tensor([last + (first - last) * share for share in shares])


def free(gradient: Tensor, current: Tensor) -> Tensor:
    """The gradient without the pixels that it would drive out of [0, 1], and without what is not finite.

    A pixel counts as at its bound up to rounding, which would else decide where it goes.
    """
    gradient = finite(gradient)
    return torch.where(torch.where(gradient > 0, 1 - current, current) > 1e-6, gradient, 0)


def onto_sphere(delta: Tensor, radius: Tensor) -> Tensor:
    """The change drawn out or in to an l2 size of (N,) `radius`; no change stays none."""
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
    """Collect what leaves, bisect towards the images `search_steps` times, and give back the results.

    Bisection asks for the smallest ball onto which what was found can be projected and still fools, by more than
    rounding, with one forward pass a step. It has no part in samples with an eps: either something within fools, or the
    nearest, which may not fool at all, is projected onto the ball. `reach` draws changes out before they are projected,
    so that in linf those well within the ball move to its surface too. Without eps, a sample that nothing fools comes
    back as it was.
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
    """The nearest that is known to fool, what it was projected from, and the interval of radii that is left."""

    samples: Samples
    source: Tensor
    images: Tensor
    low: Tensor
    high: Tensor
    off: Tensor
    """(N,): what rounding may change in a margin, by the largest logits that were seen."""
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
    """How far a margin may be off for rounding alone, in a batch of another size or on another machine: (N,).

    By the size of the two logits that it is taken of, and by a share of the margin, the root of a rounding: small
    logits may be the difference of what is large. It is those at the image that count: where classes meet, both may be
    0.
    """
    own, eps = logits.gather(1, samples.labels[:, None]).squeeze(1), torch.finfo(logits.dtype).eps
    return finite(_ROUNDINGS * eps * own.abs() + eps**0.5 * margins(samples, logits).abs())


def reached(samples: Samples, logits: Tensor, confidence: float) -> Tensor:
    """Whether the aim is reached, by a margin of `confidence` where that is above 0: (N,) booleans."""
    fooled = samples.fooled(logits)
    return fooled & (margins(samples, logits) >= confidence) if confidence > 0 else fooled
