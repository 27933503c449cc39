"""Smoothness of interpolations between random latents, and the precision of the images on the way."""

import math

import torch
from torch import Tensor

from advgan.models.interface import Generator
from evaluation.features.features import Extractor, as_double
from evaluation.latent.paths import Ends, along, look_along
from evaluation.neighbourhoods.precision_recall import neighbourhoods
from evaluation.statistics.intervals import UNKNOWN, Estimate, bootstrap_mean, wilson_at

STEPS = 16
"""Steps of a path: small enough for a jump to stand out, and to be looked at one by one."""


def path_features(
    generator: Generator, extractor: Extractor, ends: Ends, *, steps: int = STEPS, batch_size: int = 128
) -> Tensor:
    """Look at the images at equal distances on each path, both ends included: (N, steps + 1, D)."""
    if steps < 2:
        raise ValueError(f"a path of {steps} steps has no images between its ends: give 2 or more")
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64).expand(len(ends), -1)
    return look_along(generator, extractor, along(generator.space, ends, times), ends.labels, batch_size=batch_size)


def jumps(features: Tensor) -> Tensor:
    """Largest step over the mean step of each path that moves at all, from (N, steps + 1, D): (at most N,) float64.

    1: the image changes evenly; the number of steps: it changes in one of them and stands still in the others.
    """
    rows = as_double(features)
    steps = (rows[:, 1:] - rows[:, :-1]).norm(dim=2)
    moving = steps.amax(dim=1) > 0
    return steps[moving].amax(dim=1) / steps[moving].mean(dim=1)


def interpolation_jump(features: Tensor, *, seed: int = 0) -> Estimate:
    """Average the `jumps` of independent paths, with the bootstrap interval; NaN where fewer than two paths move."""
    found = jumps(features)
    return bootstrap_mean(found, seed=seed) if len(found) > 1 else Estimate(math.nan, *UNKNOWN)


def near_real(real_features: Tensor, features: Tensor) -> Tensor:
    """Whether each image is within the third-neighbour distance of some real one: (R, D), (N, M, D) to (N, M) bool.

    That is the rule of precision (Kynkäänniemi et al., 2019), applied to images that nobody samples.
    """
    found = neighbourhoods(real_features, features.flatten(0, 1)).fake_in_real
    return found.unflatten(0, features.shape[:2])


def interpolation_precision(near: Tensor) -> Estimate:
    """Share of images between the ends of paths that are near real ones, from the (N, steps + 1) of `near_real`.

    On the great circle between independent normal latents each point is distributed almost as a sample is, and exactly
    so on the sphere; so the share is that of the samples, for a generator of any quality, but for what the spread of
    the lengths of few-dimensional latents changes. It falls below where the way leaves the samples' region: straight
    ways, mixed codes.
    """
    return clustered_rate(near[:, 1:-1])


def clustered_rate(flags: Tensor) -> Estimate:
    """Share of True in (N, M) flags, of which the M of a row depend on each other, with a Wilson interval.

    The interval is that of as many independent flags as would give the variance seen between rows (Korn and Graubard,
    1998; Franco et al., 2019): N where all flags agree, which is the fewest that M dependent ones can stand for.
    """
    rows = flags.double().mean(dim=1)
    count, share = len(rows), float(flags.double().mean()) if flags.numel() else math.nan
    if count < 2:
        return Estimate(share, *UNKNOWN)
    spread = share * (1 - share)
    variance = float(rows.var()) / count
    size = count if spread == 0 else min(spread / variance, flags.numel()) if variance > 0 else flags.numel()
    return Estimate(share, *wilson_at(share, size))
