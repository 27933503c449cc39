"""The kernel distance (KID): the squared maximum mean discrepancy with a cubic kernel, unbiased at any sample size."""

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor

from evaluation.features.features import check_features
from evaluation.features.seen import Row, Seen
from evaluation.fidelity.kernel_pairs import Prepared, Sums, across, prepare, within
from evaluation.statistics.growing_interval import growing_interval
from evaluation.statistics.intervals import UNKNOWN, Estimate

KERNEL_METRICS = {
    "kid": "kernel Inception distance, 0 for a perfect generator at any sample size; kid[NAME]",
}
KERNEL_PROTOCOL = (
    "kernel (x.y/D + 1)^3, unbiased, over all pairs; 95 % interval about its limit from the variance of the "
    "two-sample U-statistic with the second-order term"
)
_MOST = 1e20
_FEWEST = 4
"""Samples of each set that the second-order variances take."""


class Variances(NamedTuple):
    """Parts of the variance of a two-sample U-statistic."""

    first: float
    """Of the projections on single samples; 0 at equal distributions. Unbiased, so below 0 by chance."""
    second: float
    """Of what only pairs tell."""
    witness: float
    """The first part per unit of distance: that of the observed witness function over its squared norm."""


def kernel_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """Estimate the squared MMD over all pairs of samples (Bińkowski et al., 2018).

    Both are (N, D). Pairs within a set leave out the sample itself, so the expectation at equal distributions is 0 and
    a value slightly below 0 is as good as 0. The usual mean over 100 subsets of 1000 estimates the same number with
    noise of its own on top; this is its limit.
    """
    return kernel_estimate(real_features, fake_features).value


def kernel_estimate(real_features: Tensor, fake_features: Tensor) -> Estimate:
    """The distance with its interval, both from one pass over the pairs.

    The interval holds every distance d with |value - d| <= 1.96 sd(d), where sd(d)^2 is the second-order variance plus
    a first-order part that grows in proportion to d. So it is right at equal distributions, where the first-order part
    vanishes, and away from them, where it is all. Its ends may lie below 0, as the value may. NaN below 4 samples.
    """
    check_features(real_features, fake_features, least=2)
    largest = max(float(features.abs().amax()) for features in (real_features, fake_features))
    if largest > _MOST:
        raise ValueError(
            f"features reach {largest:.3g}, and the powers of a kernel distance leave the range of float64 beyond "
            f"{_MOST:g}: scale the extractor's features"
        )
    real, fake = prepare(real_features, fake_features)
    sums = within(real), within(fake), across(real, fake)
    value = _unbiased(*sums)
    if min(len(real_features), len(fake_features)) < _FEWEST:
        return Estimate(value, *UNKNOWN)
    parts = variances(real, fake, *sums)
    interval = growing_interval(value, second=parts.second, raw_slope=parts.witness, first=parts.first)
    return Estimate(value, *interval)


def variances(real: Prepared, fake: Prepared, reals: Sums, fakes: Sums, pairs: Sums) -> Variances:
    """Estimate the variance of the distance in Hoeffding's (1948) decomposition; as in Sutherland et al. (2017).

    Unequal sizes are allowed, and each part is unbiased: residuals of the kernel about its row and column means give
    the second-order variances, and their share in the variance of the row means is taken off for the first order.
    """
    n, m = len(reals.rows), len(fakes.rows)
    of_real, of_fake, of_both = _residual(reals), _residual(fakes), _cross_residual(pairs)
    first = 4 * (_variance(reals.rows / (n - 2) - pairs.rows / m) - of_real / (n - 2) - of_both / m) / n
    first += 4 * (_variance(fakes.rows / (m - 2) - pairs.columns / n) - of_fake / (m - 2) - of_both / n) / m
    second = 2 * of_real / (n * (n - 1)) + 2 * of_fake / (m * (m - 1)) + 4 * of_both / (n * m)
    witness = 4 * _variance((reals.rows + real.own) / n - pairs.rows / m) / n
    witness += 4 * _variance((fakes.rows + fake.own) / m - pairs.columns / n) / m
    norm = float((reals.rows + real.own).sum() / n**2 + (fakes.rows + fake.own).sum() / m**2)
    norm -= 2 * float(pairs.rows.sum()) / (n * m)
    return Variances(first, max(0.0, second), witness / norm if norm > 0 else 0.0)


def kernel_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """The kernel distance of generated from real images, named after the features: `kid`, or `kid[name]`."""
    if "kid" not in wanted:
        return []
    real, fake = seen.real.features, seen.fake.features
    name = "kid" if real.is_inception else f"kid[{real.extractor}]"
    return [(name, kernel_estimate(real.values, fake.values), len(fake), KERNEL_PROTOCOL)]


def _unbiased(reals: Sums, fakes: Sums, pairs: Sums) -> float:
    n, m = len(reals.rows), len(fakes.rows)
    inside = reals.rows.sum() / (n * (n - 1)) + fakes.rows.sum() / (m * (m - 1))
    return float(inside - 2 * pairs.rows.sum() / (n * m))


def _residual(sums: Sums) -> float:
    """Variance of a symmetric kernel about its row and column effects, the diagonal left out."""
    n = len(sums.rows)
    average = float(sums.rows.sum()) / (n * (n - 1))
    spread = (sums.squares - n * (n - 1) * average**2) / 2
    return (spread - float((sums.rows - (n - 1) * average).square().sum()) / (n - 2)) / (n * (n - 3) / 2)


def _cross_residual(sums: Sums) -> float:
    """The same of a kernel between two sets: the residual of an analysis of variance in two ways."""
    n, m = len(sums.rows), len(sums.columns)
    average = float(sums.rows.sum()) / (n * m)
    spread = sums.squares - n * m * average**2
    by_row = float((sums.rows / m - average).square().sum()) * m
    by_column = float((sums.columns / n - average).square().sum()) * n
    return (spread - by_row - by_column) / ((n - 1) * (m - 1))


def _variance(values: Tensor) -> float:
    return float(values.var())
