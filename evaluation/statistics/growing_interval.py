"""Intervals of distances whose noise grows with the distance: squared discrepancies and divergences.

At equal distributions such a statistic is a quadratic form, with a variance of second order only; away from them it is
nearly linear, with a variance that grows in proportion to the distance. A value plus and minus its standard error fits
neither: estimated at the value, the first-order part never vanishes, and it rises and falls with the value.
"""

import math

from evaluation.statistics.intervals import NORMAL, Interval


def growing_interval(excess: float, *, second: float, raw_slope: float, first: float = 0.0) -> Interval:
    """Invert the test (excess - d)^2 <= z^2 (second + slope d) for the distance d, as Wilson (1927) does for a rate.

    `excess` is the statistic minus its expectation at equal distributions, `second` its variance there, `raw_slope` the
    observed first-order variance per unit of the statistic, `first` that variance without the noise in it. The slope is
    the larger of `raw_slope`, which noise in the statistic makes too small, and `first / excess`, which is used only
    where the excess is significant. The interval always holds the value.
    """
    seen = excess > 2 * math.sqrt(second)
    slope = max(raw_slope, first / excess if seen else 0.0)
    centre = excess + NORMAL**2 * slope / 2
    margin = NORMAL * math.sqrt(max(0.0, second + slope * excess + (NORMAL * slope / 2) ** 2))
    return Interval(min(excess, centre - margin), max(excess, centre + margin))
