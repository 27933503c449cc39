"""MIND, the Monge Inception distance: the sliced Wasserstein distance of features, scaled by three times their number.

Along a direction the optimal coupling matches ranks, so a sort gives the squared distance, and a running sum along the
ranks its dual potentials, which are the samples' influences on the distance.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.random import normal, permutation
from evaluation.features.features import as_double, check_features
from evaluation.statistics.growing_interval import growing_interval
from evaluation.statistics.intervals import UNKNOWN, Estimate

NUM_DIRECTIONS = 1000
LEAST = 8
"""Samples of each set for an interval."""
_CHUNK = 64
"""Directions that are sorted together."""


class _Coupling(NamedTuple):
    """The optimal coupling of two sorted sets of n and m: K pieces of matched ranks with their masses, in order."""

    real: Tensor
    fake: Tensor
    masses: Tensor


class _Sliced(NamedTuple):
    value: float
    jackknife: float
    """Its variance by the infinitesimal jackknife."""


def mind(real_features: Tensor, fake_features: Tensor, *, seed: int = 0, num_directions: int = NUM_DIRECTIONS) -> float:
    """Measure 3 D times the mean squared 2-Wasserstein distance along random directions (Berthet et al., 2026).

    Both are (N, D), at least two rows each; everything is float64. A shift by v gives 3 |v|^2. Directions are drawn
    from `seed` in orthonormal sets of up to D, the last one whole, so that for D up to 1000 that holds exactly; there
    are `num_directions` of them at least. Sets of different sizes are matched by their quantiles, none thrown away.
    Raises ValueError for features that do not match or are not finite.
    """
    check_features(real_features, fake_features, least=2)
    directions = _directions(real_features, seed, num_directions)
    return _sliced(as_double(real_features), as_double(fake_features), directions).value


def mind_estimate(
    real_features: Tensor, fake_features: Tensor, *, seed: int = 0, num_directions: int = NUM_DIRECTIONS
) -> Estimate:
    """The distance with an interval for its expectation at these sample sizes, of which bias is a part.

    Halves of the real set say what equal distributions score and how that varies; both fall as 1/N + 1/M does.
    """
    check_features(real_features, fake_features, least=2)
    real, fake = as_double(real_features), as_double(fake_features)
    directions = _directions(real, seed, num_directions)
    found = _sliced(real, fake, directions)
    if min(len(real), len(fake)) < LEAST:
        return Estimate(found.value, *UNKNOWN)
    order = permutation(seed, len(real), stream=1).to(real.device)
    halves = torch.tensor_split(real[order], 2)
    null = _sliced(halves[0], halves[1], directions)
    ratio = (1 / len(real) + 1 / len(fake)) / (1 / len(halves[0]) + 1 / len(halves[1]))
    floor, second = null.value * ratio, null.jackknife / 2 * ratio**2
    if found.value <= 0:
        return Estimate(found.value, *UNKNOWN)
    low, high = growing_interval(
        found.value - floor,
        second=second,
        raw_slope=found.jackknife / found.value,
        first=max(0.0, found.jackknife - 2 * second),
    )
    return Estimate(found.value, max(0.0, low + floor), high + floor)


def _directions(features: Tensor, seed: int, least: int) -> Tensor:
    """Random directions (D, P), in orthonormal sets."""
    columns = features.shape[1]
    size = min(columns, least)
    sets = math.ceil(least / size)
    drawn = normal(seed, torch.arange(sets), (columns, size), stream=0, dtype=torch.float64)
    return torch.cat([torch.linalg.qr(each)[0] for each in drawn], dim=1).to(features.device)


def _sliced(real: Tensor, fake: Tensor, directions: Tensor) -> _Sliced:
    coupling = _coupling(len(real), len(fake), real.device)
    total = 0.0
    pulls = [features.new_zeros(len(features)) for features in (real, fake)]
    for chosen in directions.split(_CHUNK, dim=1):
        sets = [(features @ chosen).T.sort(dim=1) for features in (real, fake)]
        ranked = [each.values for each in sets]
        matched = [ranked[0][:, coupling.real], ranked[1][:, coupling.fake]]
        total += float(((matched[0] - matched[1]).square() @ coupling.masses).sum())
        for side, pull in enumerate(pulls):
            potentials = _potentials(ranked[side], ranked[1 - side])
            pull.index_add_(0, sets[side].indices.flatten(), potentials.flatten())
    scale = 3 * real.shape[1] / directions.shape[1]
    jackknife = sum(scale**2 * float(pull.var()) / (len(pull) - 1) for pull in pulls)
    return _Sliced(scale * total, jackknife)


def _potentials(ranked: Tensor, others: Tensor) -> Tensor:
    """Dual potentials of sorted values (P, n) against others (P, m): the gain in cost of mass moved up the ranks."""
    n, m = ranked.shape[1], others.shape[1]
    ends = torch.arange(1, n, device=ranked.device) * m
    below, above = (ends - 1).div(n, rounding_mode="floor"), ends.div(n, rounding_mode="floor")
    between = (others[:, below] + others[:, above]) / 2
    steps = (ranked[:, 1:] - ranked[:, :-1]) * (ranked[:, 1:] + ranked[:, :-1] - 2 * between)
    potentials = torch.cat([torch.zeros_like(ranked[:, :1]), steps.cumsum(dim=1)], dim=1)
    return potentials - potentials.mean(dim=1, keepdim=True)


def _coupling(n: int, m: int, device: torch.device) -> _Coupling:
    """The pieces of two sorted sets that are matched: cut where either set has an end of a sample."""
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    lengths = ends.diff(prepend=ends.new_zeros(1))
    real = (ends - 1).div(m, rounding_mode="floor")
    fake = (ends - 1).div(n, rounding_mode="floor")
    return _Coupling(real.to(device), fake.to(device), (lengths.double() / (n * m)).to(device))
