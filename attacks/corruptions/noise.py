"""The noises of CIFAR-10-C (Hendrycks & Dietterich, 2019): Gaussian, shot and impulse."""

import torch
from torch import Tensor

from attacks import random

_MARGIN = 4  # counts by which the first guess may be off to either side


def gaussian_noise(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Add independent normal noise."""
    deviation = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return images + deviation * random.normal(seed, indices, images.shape[1:], dtype=images.dtype)


def shot_noise(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Replace each value by a Poisson count of photons, scaled back; white is 500 photons at severity 1, 50 at 5."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return poisson(random.uniform(seed, indices, images.shape[1:], dtype=images.dtype), photons * images) / photons


def impulse_noise(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Set a random share of all values, in each channel independently, to 0 or 1."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    drawn = random.uniform(seed, indices, images.shape[1:], dtype=images.dtype)
    return torch.where(drawn < share, (drawn < share / 2).to(images.dtype), images)


def poisson(uniform: Tensor, rates: Tensor) -> Tensor:
    """Turn uniform values in (0, 1) into Poisson counts of the given rates, by inverting the distribution function.

    The search starts below the quantile of the matching normal distribution, corrected for skewness (Cornish & Fisher,
    1938), which for every rate and every value that can be drawn is at most 4 above the answer and 4 below it.
    """
    rates = rates.clamp(min=1e-12)
    normal = torch.special.ndtri(uniform)
    counts = ((rates + normal * rates.sqrt() + (normal.square() - 1) / 6).floor() - _MARGIN).clamp(min=0)
    total = torch.special.gammaincc(counts + 1, rates)
    mass = torch.exp(counts * rates.log() - rates - torch.lgamma(counts + 1))
    for _ in range(2 * _MARGIN):
        rising = uniform > total
        counts = counts + rising
        mass = torch.where(rising, mass * (rates / counts.clamp(min=1)), mass)
        total = torch.where(rising, total + mass, total)
    return counts
