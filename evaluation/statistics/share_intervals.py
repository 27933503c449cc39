"""95 % intervals of shares and mean counts whose samples are not independent, from their design effect."""

import math

from torch import Tensor

from evaluation.statistics.intervals import Estimate, student, wilson_at

_PRIOR = 2.0
"""Samples of the rarer kind that an estimated design effect must rest on, to count as much as what is expected."""


def share(flags: Tensor, effect: float, *, others: int) -> Estimate:
    """Share of True among (N,) flags, with Wilson's interval at the effective sample size (Korn and Graubard, 1998).

    `effect` is the estimated design effect. Where a share near 0 or 1 says little about it, or nothing (NaN), it is
    drawn towards 1 + N / `others`: that of a share over both sets in which each has its part by its size.
    """
    count, value = len(flags), float(flags.double().mean())
    expected, rare = 1 + count / others, count * min(value, 1 - value)
    if not math.isnan(effect):
        expected = (rare * effect + _PRIOR * expected) / (rare + _PRIOR)
    return Estimate(value, *wilson_at(value, count / expected, quantile=_quantile(count / expected)))


def mean_count(counts: Tensor, effect: float, *, others: int) -> Estimate:
    """Mean of (M,) counts, with an interval that knows their variance to grow with the mean, as Poisson's does.

    The relative variance over new samples of the other set is `effect` / `others`; that over new samples of these is
    seen. Where all are 0 the upper end is that of as many counts of 0 or 1; where nothing is seen to vary, or the
    effect is not known (NaN), counts vary as Poisson's do.
    """
    value, count = float(counts.mean()), len(counts)
    if value == 0:
        return Estimate(0.0, 0.0, _quantile(count) ** 2 * (1 / count + 1 / others))
    relative = float(counts.var()) / count / value**2 + (1 / value if math.isnan(effect) else effect) / others
    if relative:
        half = _quantile(1 / relative) ** 2 * relative * value / 2
    else:
        half = _quantile(count) ** 2 * (1 / count + 1 / others) / 2
    margin = math.sqrt(2 * half * value + half**2)
    return Estimate(value, value + half - margin, value + half + margin)


def _quantile(effective: float) -> float:
    """Student's t: a variance that so many samples show has about half as many degrees of freedom."""
    return student(max(2.0, effective / 2))
