"""Multi-scale structural similarity of pairs of images of a class: high where a generator draws one image a class."""

import math
from typing import NamedTuple

import torch
from scipy.special import ndtri
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from attacks.random import permutation
from evaluation.statistics.intervals import CONFIDENCE, UNKNOWN, Estimate

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from fine to coarse (Wang et al., 2003)
WINDOW = 11
SIGMA = 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2  # the constants that keep the ratios from 0 / 0, for pixels in [0, 1]
MOST_PAIRS = 100
"""Pairs of a class (Odena et al., 2017)."""
_BATCH = 256
_PAIRS = (1 << 21) + 3
"""Stream of attacks.random for the pairs; class c has the one c further on."""


class Pairs(NamedTuple):
    """Random pairs of images of one class: numbers of both images, and their class, (P,) int64 each."""

    first: Tensor
    second: Tensor
    classes: Tensor


def num_scales(size: int) -> int:
    """Scales that images of this smaller side have: those at which a window of 11 pixels fits, 1 to 5."""
    return max(1, sum(size >> scale >= WINDOW for scale in range(len(WEIGHTS))))


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Similarity of each pair of images (Wang et al., 2003): two (N, C, H, W) in [0, 1] or uint8 to (N,), 1 if equal.

    Contrast and structure count at every scale, luminance at the coarsest; each is averaged over channels and places at
    which the Gaussian window lies inside the image, and negative ones count as 0. Images too small for all five scales
    have as many as `num_scales` says, with the weights of those scaled to a sum of 1; below 11 pixels the window is as
    large as an odd one can be.
    """
    if first.shape != second.shape or first.ndim != 4 or first.dtype != second.dtype:
        raise ValueError(f"pairs need images of one shape (N, C, H, W) and type: {first.shape} and {second.shape}")
    parts = zip(first.split(_BATCH), second.split(_BATCH), strict=True)
    return torch.cat([_similarity(_unit(one), _unit(other)) for one, other in parts])


def class_pairs(classes: Tensor, *, most: int = MOST_PAIRS, seed: int = 0) -> Pairs:
    """Deal the images of each class (N,) into random pairs, at most `most` a class, no image in two of them."""
    classes = classes.cpu()
    found = []
    for number in classes.unique().tolist():
        members = (classes == number).nonzero().flatten()
        order = members[permutation(seed, len(members), stream=_PAIRS + number)]
        count = min(most, len(members) // 2)
        found.append((order[:count], order[count : 2 * count], members.new_full((count,), number)))
    return Pairs(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def pairs_mean(values: Tensor, classes: Tensor) -> Estimate:
    """Mean over the classes of the mean of (P,) values of their pairs, with its interval; classes of 1 pair are out.

    Pairs that share no image are independent, so the variance is that of a stratified sample (Cochran, 1977).
    """
    strata = [values[classes.to(values.device) == number].double() for number in classes.unique().tolist()]
    strata = [stratum for stratum in strata if len(stratum) > 1]
    if not strata:
        return Estimate(math.nan, *UNKNOWN)
    value = sum(float(stratum.mean()) for stratum in strata) / len(strata)
    variance = sum(float(stratum.var()) / len(stratum) for stratum in strata) / len(strata) ** 2
    margin = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return Estimate(value, value - margin, value + margin)


def _unit(images: Tensor) -> Tensor:
    return images.double() / 255 if images.dtype == torch.uint8 else images.double()


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    scales = num_scales(min(first.shape[2:]))
    weights = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
    product = first.new_ones(len(first))
    for scale, weight in enumerate(weights):
        luminance, structure = _maps(first, second)
        shown = structure if scale < scales - 1 else structure * luminance
        product = product * shown.mean(dim=(1, 2, 3)).clamp(min=0) ** weight
        first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
    return product


def _maps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at every place of the window."""
    window = _window(min(WINDOW, (min(first.shape[2:]) + 1) // 2 * 2 - 1)).to(first)
    mean, other = _blurred(first, window), _blurred(second, window)
    variance = _blurred(first * first, window) - mean * mean
    other_variance = _blurred(second * second, window) - other * other
    covariance = _blurred(first * second, window) - mean * other
    luminance = (2 * mean * other + LUMINANCE) / (mean * mean + other * other + LUMINANCE)
    return luminance, (2 * covariance + CONTRAST) / (variance + other_variance + CONTRAST)


def _blurred(images: Tensor, window: Tensor) -> Tensor:
    channels = images.shape[1]
    rows = conv2d(images, window.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
    return conv2d(rows, window.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)


def _window(size: int) -> Tensor:
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-places.square() / (2 * SIGMA**2))
    return weights / weights.sum()
