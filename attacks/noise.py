"""Random noise of the size of an attack: the control that says how much of an attack's effect is mere size.

What is guaranteed: the noise lies in the ball and in [0, 1], and its norm is eps, to rounding, wherever the image has
room for that in the direction that was drawn. Noise that [0, 1] cuts is drawn out until what is left of it has norm
eps. Only where it stays smaller with every pixel at its bound does the result: so in linf, if no pixel can move by eps
in its direction. In l0, which has no scale, those eps values get noise that it changes most.
"""

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.norms import L0, LINF, Budget, Norm, named_norm, per_sample
from attacks.samples import Samples

_HALVINGS = 40  # of the logarithm of a ratio below 1e40: to 1e-10 of the scale


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
    """Go from the images in a direction, cut at [0, 1], until the norm is eps; the norm never falls on the way."""
    images = samples.images
    if norm is L0:
        return norm.project(images + direction, images, samples.eps)

    def at(scale: Tensor) -> Tensor:
        return (images + per_sample(scale, images) * direction).clamp(0, 1)

    # Between the scale that is right if nothing is cut, and the one that takes every pixel to its bound.
    room = torch.where(direction > 0, 1 - images, images)
    low = samples.eps / norm.size(direction)
    high = (room / direction.abs().clamp(min=1e-30)).flatten(1).amax(dim=1)
    for _ in range(_HALVINGS):
        middle = low.sqrt() * high.sqrt()
        fits = norm.size(at(middle) - images) <= samples.eps
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return norm.project(at(low), images, samples.eps)
