"""Statistically different bins: where fakes are too many or too few, among regions of the real images."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import ndtri
from torch import Tensor

from attacks.random import permutation
from evaluation.features.cells import Cells
from evaluation.features.features import TooFewError, check_features
from evaluation.statistics.intervals import CONFIDENCE, Estimate, wilson

MOST_BINS = 100  # Richardson and Weiss (2018)
PER_BIN = 20
"""Samples of the smaller set that a bin should hold; with fewer nothing but an empty bin can differ."""
LEVEL = 0.05
"""Share of the bins that differ by chance."""
FEWEST_EXPECTED = 5
"""Expected count below which the normal approximation of the test gives way to the exact one (Cochran, 1954)."""
_HALVES = (1 << 21) + 1
"""Stream of attacks.random for the half of the real images that the bins are fitted to."""


class Bins(NamedTuple):
    """How often each bin was hit by real samples that the bins were not fitted to, and by fakes: (K,) int64 each."""

    real: Tensor
    fake: Tensor


def bins(real: Tensor, fake: Tensor, *, num_bins: int | None = None, seed: int = 0) -> Bins:
    """Sort (N, D) real and (M, D) fake features into bins about k-means centres of half of the reals.

    The other half is counted: samples that the centres were fitted to lie in the bins otherwise than new ones, and even
    a perfect generator would differ from them. By default there are `MOST_BINS`, fewer where a bin would get less than
    `PER_BIN` samples. Raises ValueError where there are fewer than 2 * PER_BIN samples to count on either side.
    """
    check_features(real, fake, least=2)
    order = permutation(seed, len(real), stream=_HALVES).to(real.device)
    fitted, counted = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    fewest = min(len(counted), len(fake))
    if num_bins is None:
        if fewest < 2 * PER_BIN:
            raise TooFewError(
                f"{len(real)} real and {len(fake)} fake images are too few for bins: use {4 * PER_BIN} real and "
                f"{2 * PER_BIN} fake ones at least, or say how many bins"
            )
        num_bins = min(MOST_BINS, fewest // PER_BIN)
    cells = Cells(fitted, num_bins, seed=seed)
    return Bins(*(cells.of(rows).bincount(minlength=num_bins) for rows in (counted, fake)))


def different(found: Bins) -> Tensor:
    """Which bins hold significantly other shares of the two sets, at `LEVEL` each: (K,) bool.

    By the two-proportion z test (Richardson and Weiss, 2018), or Fisher's exact one where a count is expected below
    `FEWEST_EXPECTED`; that one rejects more rarely than its level, never more often.
    """
    real, fake = found.real.double(), found.fake.double()
    num_real, num_fake = float(real.sum()), float(fake.sum())
    pooled = (real + fake) / (num_real + num_fake)
    error = (pooled * (1 - pooled) * (1 / num_real + 1 / num_fake)).sqrt()
    rejected = (real / num_real - fake / num_fake).abs() > float(ndtri(1 - LEVEL / 2)) * error
    for number in ((real + fake) * min(num_real, num_fake) < FEWEST_EXPECTED * (num_real + num_fake)).nonzero():
        hits, hits_fake = float(real[number]), float(fake[number])
        pairs = np.array([[hits, num_real - hits], [hits_fake, num_fake - hits_fake]], dtype=np.int64)
        rejected[number] = bool(stats.fisher_exact(pairs).pvalue < LEVEL)
    return rejected


def different_share(found: Bins) -> Estimate:
    """Share of different bins, `LEVEL` for a perfect generator, with the Wilson interval over the bins.

    It is about the expectation at these sizes; bins that differ in their chance of rejection make it too wide rather
    than too narrow (Hoeffding, 1956).
    """
    count = int(different(found).sum())
    return Estimate(count / len(found.real), *wilson(count, len(found.real)))


def bins_divergence(found: Bins) -> Estimate:
    """Jensen-Shannon divergence of the two histograms in nats, in [0, ln 2], with its interval.

    The interval is the delta method's, about the expectation at these sizes. Near equality, where the first order
    vanishes, it is too wide rather than too narrow: twice the variance that chance alone makes.
    """
    sizes = [float(counts.sum()) for counts in found]
    real, fake = (counts.double() / size for counts, size in zip(found, sizes, strict=True))
    middle = (real + fake) / 2
    value, variance = 0.0, 0.0
    for shares, size in ((real, sizes[0]), (fake, sizes[1])):
        there = shares > 0
        logarithms = (shares[there] / middle[there]).log()
        mean = float((shares[there] * logarithms).sum())
        value += mean / 2
        variance += (float((shares[there] * logarithms.square()).sum()) - mean**2) / (4 * size)
    margin = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return Estimate(value, max(0.0, value - margin), min(math.log(2), value + margin))


def null_divergence(found: Bins) -> float:
    """The divergence expected of a perfect generator: (K - 1) (1/N + 1/M) / 8 for K bins that are hit."""
    filled = int(((found.real + found.fake) > 0).sum())
    return (filled - 1) * (1 / float(found.real.sum()) + 1 / float(found.fake.sum())) / 8
