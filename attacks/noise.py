"""Random noise of norm eps: the control that tells how much of an attack's effect any change of that size would have.

Guaranteed: the noise lies in the eps-ball and in [0, 1], and its norm is eps up to rounding wherever clipping allows
it. Where [0, 1] clips pixels, the noise is scaled up until its clipped form has norm eps; it stays smaller only where
every pixel has reached its bound (in linf: where no pixel can move by eps in its direction). In l0, which has no scale,
noise is added to the eps values that it changes most.
"""

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.norms import L0, LINF, Budget, Norm, named_norm, per_sample
from attacks.samples import Samples

_HALVINGS = 40  # bisection of the logarithm of the scale: a range below 1e40 is narrowed to 1e-10 of it


def uniform_noise(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Add noise, uniform and independent in each pixel, scaled to norm eps; in linf its largest change is eps.

    The module says what is guaranteed. The noise of sample k depends on (seed, k) and its image alone: labels and
    classifier, which is never called, have no effect.
    """
    norm = named_norm(norm)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=False, indices=indices)
    images = samples.images
    return _of_size(norm, samples, 2 * random.uniform(seed, samples.indices, images.shape[1:], dtype=images.dtype) - 1)


def gaussian_noise(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Add noise, normal and independent in each pixel, scaled to norm eps; in linf its largest change is eps.

    The module says what is guaranteed. The noise of sample k depends on (seed, k) and its image alone: labels and
    classifier, which is never called, have no effect.
    """
    norm = named_norm(norm)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=False, indices=indices)
    images = samples.images
    return _of_size(norm, samples, random.normal(seed, samples.indices, images.shape[1:], dtype=images.dtype))


def _of_size(norm: Norm, samples: Samples, direction: Tensor) -> Tensor:
    """Find by bisection the scale of a direction at which its change, clipped to [0, 1], has norm eps."""
    images = samples.images
    if norm is L0:
        return norm.project(images + direction, images, samples.eps)

    def at(scale: Tensor) -> Tensor:
        return (images + per_sample(scale, images) * direction).clamp(0, 1)

    # From the scale that is right if nothing is clipped to the one at which every pixel is at its bound.
    room = torch.where(direction > 0, 1 - images, images)
    low = samples.eps / norm.size(direction)
    high = (room / direction.abs().clamp(min=1e-30)).flatten(1).amax(dim=1)
    for _ in range(_HALVINGS):
        middle = low.sqrt() * high.sqrt()
        fits = norm.size(at(middle) - images) <= samples.eps
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return norm.project(at(low), images, samples.eps)
