"""95 % intervals: Wilson for rates, t or bootstrap for means, the delete-a-group jackknife for smooth statistics.

The bootstrap is not used on distances between distributions: drawing with replacement duplicates rows, and a duplicated
row biases a Fréchet or a kernel distance upwards (Efron and Tibshirani, 1993, discuss the general case). The jackknife
only leaves rows out.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

from attacks.random import permutation

CONFIDENCE = 0.95
NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
"""The two-sided 95 % quantile of the normal distribution, 1.96."""
NUM_GROUPS = 10


class Interval(NamedTuple):
    """The two ends of a 95 % interval; NaN where the sample is too small for one."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value with the two ends of its interval."""

    value: float
    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


def wilson(successes: int, count: int) -> Interval:
    """Bound a rate of independent successes (Wilson, 1927). It stays inside [0, 1] and is not empty at 0 or 1."""
    if count == 0:
        return UNKNOWN
    bounds = stats.binomtest(successes, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def wilson_at(share: float, count: float, *, quantile: float = NORMAL) -> Interval:
    """Wilson's interval for a share of `count` samples, which need not be whole (an effective sample size).

    `quantile` replaces the normal one where the count itself is only estimated.
    """
    weight = quantile**2 / count
    middle = (share + weight / 2) / (1 + weight)
    margin = math.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return Interval(max(0.0, middle - margin), min(1.0, middle + margin))


def rate(flags: Tensor) -> Estimate:
    """Share of True among (N,) flags, with its Wilson interval."""
    successes = int(flags.sum())
    return Estimate(successes / len(flags) if len(flags) else math.nan, *wilson(successes, len(flags)))


def mean(values: Tensor) -> Estimate:
    """Mean of (N,) independent values, with Student's t interval."""
    count = len(values)
    average = float(values.double().mean()) if count else math.nan
    if count < 2:
        return Estimate(average, *UNKNOWN)
    margin = student(count - 1) * float(values.double().std()) / math.sqrt(count)
    return Estimate(average, average - margin, average + margin)


def bootstrap_mean(values: Tensor, *, seed: int = 0, num_resamples: int = 2000) -> Estimate:
    """Mean of (N,) independent values, with the percentile bootstrap interval (Efron, 1979).

    For bounded, skewed values: unlike the t interval it never leaves their range.
    """
    count = len(values)
    average = float(values.double().mean()) if count else math.nan
    if count < 2:
        return Estimate(average, *UNKNOWN)
    array = values.double().cpu().numpy()
    batch = max(1, 10_000_000 // count)
    result = stats.bootstrap(
        (array,), _array_mean, n_resamples=num_resamples, batch=batch, method="percentile", rng=seed
    )
    return Estimate(average, float(result.confidence_interval.low), float(result.confidence_interval.high))


def jackknife(
    statistic: Callable[..., float], *samples: Tensor, seed: int = 0, num_groups: int = NUM_GROUPS
) -> Estimate:
    """Value and interval of a smooth statistic by the delete-a-group jackknife (Kott, 2001).

    `statistic` takes as many tensors as there are `samples`, rows being independent draws; the sets may differ in
    length. Each set is dealt into `num_groups` random groups, and replicate g leaves group g of every set out. The
    interval is about the statistic's expectation at this sample size: it does not remove a bias that the size causes.
    """
    value = statistic(*samples)
    num_groups = min(num_groups, *(len(sample) for sample in samples))
    groups = [deal(len(sample), num_groups, seed=seed, stream=stream) for stream, sample in enumerate(samples)]
    replicates = [
        statistic(*(sample[group.to(sample.device) != left_out] for sample, group in zip(samples, groups, strict=True)))
        for left_out in range(num_groups if num_groups > 1 else 0)
    ]
    return Estimate(value, *jackknife_interval(value, replicates))


def jackknife_interval(value: float, replicates: Sequence[float]) -> Interval:
    """The interval about `value` from the statistic's values with one group left out each."""
    num_groups = len(replicates)
    if num_groups < 2:
        return UNKNOWN
    spread = torch.tensor(replicates, dtype=torch.float64)
    variance = float((spread - spread.mean()).square().sum()) * (num_groups - 1) / num_groups
    margin = student(num_groups - 1) * math.sqrt(variance)
    return Interval(value - margin, value + margin)


def deal(count: int, num_groups: int, *, seed: int, stream: int = 0) -> Tensor:
    """Group number of each of `count` rows: (count,) int64, random for the seed, sizes differing by one at most."""
    groups = torch.empty(count, dtype=torch.int64)
    groups[permutation(seed, count, stream=stream)] = torch.arange(count) % num_groups
    return groups


def _array_mean(values, axis):  # type: ignore[no-untyped-def]
    """Mean of a numpy array along an axis; `scipy.stats.bootstrap` asks for this signature."""
    return values.mean(axis=axis)


def student(degrees: float) -> float:
    """The two-sided 95 % quantile of Student's t with that many degrees of freedom."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
