"""The Fréchet distance extrapolated to infinitely many samples, which removes the bias of finite sets.

Distances of ever smaller disjoint parts of both sets lie on a line in 1/N whose intercept is the limit (Chong and
Forsyth, 2020). The line is straight only where N is many times D. Here the abscissa is the floor at each size, not
1/N: it is proportional to 1/N for large N and bends before much as the distance does, so parts may be as small as D.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attacks.random import permutation, uniform
from evaluation.features.features import check_features
from evaluation.fidelity.class_noise import INDEPENDENT, ClassNoise
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.frechet_floor import expected_distance
from evaluation.fidelity.frechet_interval import frechet_noise
from evaluation.fidelity.population_spectrum import Vector, spectrum_of
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import UNKNOWN, Estimate, Interval, student

SHARES = (1, 2, 4)
"""Into how many disjoint parts both sets are cut, each cut within the one before; distances of parts are averaged."""
LEAST = 32
"""Samples of each set."""


class Extrapolation(NamedTuple):
    """The limit, and the line that led there."""

    limit: Estimate
    slope: float
    """Of the distance over the floor: 1 for a perfect generator of Gaussian features."""
    floors: tuple[float, ...]
    """The floor at each size, rising."""
    distances: tuple[float, ...]
    """The mean distance at each size."""
    residual: float
    """The largest distance of a point from the line; 0 where there are two points only."""


def frechet_infinity(
    real_features: Tensor, fake_features: Tensor, *, seed: int = 0, noise: ClassNoise = INDEPENDENT
) -> Extrapolation:
    """Extrapolate to infinitely many real and fake samples at once, whose numbers shrink in proportion.

    Both are (N, D), at least 32 rows each. The whole sets, their halves and their quarters, dealt by `seed`, give three
    distances, and least squares weighted by the size of the parts a line; the quarters stay out where they have fewer
    than D rows. The limit may come out below 0, and does half the time for equal distributions. Its interval counts
    the noise of the samples; where that does not explain how far the points are from the line there is none. In
    simulations (Gaussian features, D = 32 and 64, N from 2 D to 20 D, equal, shifted, scaled and collapsed
    distributions) it held the limit in 92 to 98 %, where that of a line in 1/N held it in a quarter at N = 2 D.
    Where `noise` knows of classes, the floors count what these make at each size: rows are dealt at random, but of all
    real images and of fakes whose classes were dealt out each four in a row, which the caller sorts by class.
    Raises ValueError for fewer rows, or features that do not vary.
    """
    check_features(real_features, fake_features, least=LEAST)
    floors, distances = _points(real_features, fake_features, seed, noise)
    weights, slopes = _line(floors)
    limit, slope = float(weights @ distances), float(slopes @ distances)
    found = frechet_noise(real_features, fake_features, seed=seed)
    variance = found.linear + _growth(weights) * found.quadratic
    freedom = 2 * distances[0] ** 2 / max(found.linear + found.quadratic, np.finfo(float).tiny)
    margin = student(max(freedom, 1.0)) * math.sqrt(variance)
    residual = float(np.abs(distances - limit - slope * floors).max())
    interval = Interval(limit - margin, limit + margin) if residual <= margin else UNKNOWN
    return Extrapolation(Estimate(limit, *interval), slope, tuple(floors.tolist()), tuple(distances.tolist()), residual)


def infinity_findings(limit: Estimate, *, num_real: int, num_fake: int, columns: int) -> list[Finding]:
    """Say where an extrapolated distance is not to be trusted: off its line, or from too few samples."""
    findings = []
    if min(num_real, num_fake) < 2 * columns:
        findings.append(
            Finding(
                "warning",
                "The extrapolated distance rests on few images",
                f"{num_real} real and {num_fake} generated images against {columns} features: halves of them have "
                "singular covariances.",
                f"Use {4 * columns} images of each or more, or read the kernel distance, which has no bias.",
                code="frechet-infinity-few",
            )
        )
    if math.isnan(limit.low):
        findings.append(
            Finding(
                "warning",
                "The distances that are extrapolated are on no line",
                f"The limit {limit.value:.4g} has no interval: the distances of the whole sets, halves and quarters "
                "miss the line through them by more than the noise of the images explains.",
                "Do not quote it. Use more images; and look for a few of them with outlying features.",
                code="frechet-infinity-bend",
            )
        )
    return findings


def _points(real: Tensor, fake: Tensor, seed: int, noise: ClassNoise) -> tuple[Vector, Vector]:
    """Floor and mean distance of the parts at each share."""
    spectrum = spectrum_of(real)
    if len(spectrum.counts) == 0:
        raise ValueError("real features do not vary: there is nothing to extrapolate in; look at the images")
    fewest = min(len(real), len(fake))
    shares = [share for share in SHARES if share <= 2 or fewest // share >= real.shape[1]]
    whole = len(real) == noise.drawn_from
    in_order = whole or noise == INDEPENDENT, noise.even or noise == INDEPENDENT
    quarters = [
        _dealt(len(features), seed, stream) if ordered else _dealt_at_random(len(features), seed, stream)
        for stream, (features, ordered) in enumerate(zip((real, fake), in_order, strict=True))
    ]
    sizes = [(len(real) // share, len(fake) // share) for share in shares]
    floors = [
        expected_distance(spectrum, *size) * (noise._replace(drawn_from=size[0]) if whole else noise).factor(*size)
        for size in sizes
    ]
    return np.array(floors), np.array([_mean_distance(real, fake, quarters, share) for share in shares])


def _mean_distance(real: Tensor, fake: Tensor, quarters: list[list[Tensor]], share: int) -> float:
    size = SHARES[-1] // share
    distances = []
    for first in range(0, SHARES[-1], size):
        mine, theirs = (torch.cat(each[first : first + size]) for each in quarters)
        distances.append(frechet_distance(real[mine.to(real.device)], fake[theirs.to(fake.device)]))
    return float(np.mean(distances))


def _dealt(count: int, seed: int, stream: int) -> list[Tensor]:
    """Split rows into quarters: of every four consecutive rows each quarter gets one, at random.

    Rows sorted by class stay as evenly spread over the classes as they were. A random quarter of a balanced set would
    have noise in its class counts that the whole set lacks, which would bend the line.
    """
    starts = torch.arange(0, count, SHARES[-1])
    rows = starts[:, None] + uniform(seed, starts, (SHARES[-1],), stream=stream).argsort(dim=1)
    return [part[part < count] for part in rows.T]


def _dealt_at_random(count: int, seed: int, stream: int) -> list[Tensor]:
    """Split rows into random quarters, so that independent draws stay independent."""
    return [part.sort().values for part in permutation(seed, count, stream=stream).tensor_split(SHARES[-1])]


def _line(floors: Vector) -> tuple[Vector, Vector]:
    """Weights of the distances (least squares) that give the line's intercept, and those that give its slope.

    Weighted by the size of the parts, as the mean distance of g parts has g times the variance at equal distributions.
    """
    design = np.stack([np.ones_like(floors), floors], axis=1)
    weighted = design.T / SHARES[: len(floors)]
    intercept, slope = np.linalg.solve(weighted @ design, weighted)
    return intercept, slope


def _growth(weights: Vector) -> float:
    """Variance of the limit over that of the distance where both are quadratic in the noise.

    A pair of samples counts as often as parts at each share hold both: a quarter of the pairs are within quarters,
    another quarter within halves alone.
    """
    whole, half, quarter = (weights * SHARES[: len(weights)]).tolist() + [0.0] * (len(SHARES) - len(weights))
    return ((whole + half + quarter) ** 2 + (whole + half) ** 2 + 2 * whole**2) / 4
