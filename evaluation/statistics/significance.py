"""Whether two numbers differ by more than chance: on the same images, or of independent ones, one pair or many."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import optimize, stats
from torch import Tensor

from evaluation.statistics.intervals import NORMAL, Estimate

LEVEL = 0.01
"""Chance of a false alarm where two attacks are compared."""


class Contrast(NamedTuple):
    """A difference with its 95 % interval, the chance of so large a one between equals, and what it is made of."""

    value: float
    low: float
    high: float
    p_value: float
    """NaN where nothing is known of chance."""
    pairs: int = 0
    """Samples that both sides share, one by one; 0 where the two are taken for independent."""


def beats(robust_to_one: Tensor, robust_to_other: Tensor) -> bool:
    """Test whether the first attack breaks significantly more images than the second: McNemar's exact test, one-sided.

    Both are (N,) booleans of the same images; only images on which the two differ count.
    """
    only_one = int((~robust_to_one & robust_to_other).sum())
    only_other = int((robust_to_one & ~robust_to_other).sum())
    if only_one == 0:
        return False
    return float(stats.binomtest(only_one, only_one + only_other, alternative="greater").pvalue) < LEVEL


def paired(only_first: int, only_second: int, count: int) -> Contrast:
    """The first's share minus the second's, of `count` samples of which so many count for one of the two alone.

    The test is McNemar's exact one (1947), the interval the score interval of Tango (1998), which stays inside
    [-1, 1] and is not empty where the two agree on every sample.
    """
    value, differing = (only_first - only_second) / count, only_first + only_second
    p_value = float(stats.binomtest(only_first, differing).pvalue) if differing else 1.0
    low, high = _tango(only_first, only_second, count)
    return Contrast(value, low, high, p_value, count)


def independent(first: Estimate, second: Estimate) -> Contrast:
    """The first minus the second, taken for independent; their standard errors are read off their intervals."""
    value = first.value - second.value
    error = math.hypot(_standard_error(first), _standard_error(second))
    margin = error * NORMAL
    return Contrast(value, value - margin, value + margin, _p_value(value, error))


def holm(p_values: Sequence[float]) -> list[float]:
    """The same p-values, corrected for their number by the step-down rule (Holm, 1979), in the same order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    largest, corrected = 0.0, [math.nan] * len(p_values)
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _standard_error(estimate: Estimate) -> float:
    """Of the value, from its interval; an interval of no width has none."""
    return (estimate.high - estimate.low) / 2 / NORMAL


def _p_value(value: float, error: float) -> float:
    if not math.isfinite(value) or not math.isfinite(error):
        return math.nan
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(stats.norm.sf(abs(value) / error))


def _tango(only_first: int, only_second: int, count: int) -> tuple[float, float]:
    """The differences at which the score statistic is no farther from 0 than 1.96."""

    def excess(difference: float, sign: int) -> float:
        return sign * _score(only_first, only_second, count, difference) - NORMAL

    value, edge = (only_first - only_second) / count, 1 - 1e-9
    low = -1.0 if excess(-edge, 1) < 0 else float(optimize.brentq(excess, -edge, min(value, edge), args=(1,)))
    high = 1.0 if excess(edge, -1) < 0 else float(optimize.brentq(excess, max(value, -edge), edge, args=(-1,)))
    return low, high


def _score(only_first: int, only_second: int, count: int, difference: float) -> float:
    """How many standard errors, under a true difference, the one found lies above it."""
    # The share that counts for the second alone, at its maximum of likelihood under that difference.
    linear = -(only_first + only_second) + (2 * count - only_first + only_second) * difference
    constant = -only_second * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * count * constant)) - linear) / (4 * count)
    variance = count * (2 * share + difference * (1 - difference))
    gap = only_first - only_second - count * difference
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0
