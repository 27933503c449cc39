"""Mean and standard deviation of the pixels, which a classifier subtracts and divides by."""

import torch
from torch import Tensor

from advgan.data import ImageSet

_COUNTED_AT_ONCE = 4096  # images, so that a memory-mapped set is never in memory whole


def normalisation(images: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the mean and the standard deviation of each channel, over all pixels, in [0, 1].

    Counted from the histogram of the 256 levels, so exact for a set of any size. A channel without any contrast gets a
    standard deviation of one level, so that it can be divided by.
    """
    counts = torch.zeros(images.channels, 256, dtype=torch.int64)
    for block in images.images.split(_COUNTED_AT_ONCE):
        for channel in range(images.channels):
            counts[channel] += torch.bincount(block[:, channel].reshape(-1), minlength=256)
    means, deviations = zip(*(_moments(row) for row in counts), strict=True)
    return means, deviations


def _moments(counts: Tensor) -> tuple[float, float]:
    levels, shares = torch.arange(256, dtype=torch.float64) / 255, counts / counts.sum()
    mean = (levels * shares.double()).sum()
    variance = ((levels - mean) ** 2 * shares.double()).sum()
    return float(mean), max(float(variance.sqrt()), 1 / 255)
