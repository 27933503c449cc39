"""The number of classes that a sample covers: an interval for its expectation, from one sample."""

import math

from torch import Tensor

from evaluation.statistics.intervals import NORMAL, Interval

_WEIGHTS = (15 / 16, -11 / 16, 5 / 16, -1 / 16)
"""Weights of the numbers of classes hit once, twice, three and four times (smoothed Good-Toulmin)."""
_CHANCE = -math.log(0.025)
"""The Poisson mean at which no event is seen with probability 2.5 %."""


def covered_interval(counts: Tensor) -> Interval:
    """Bound the expected number of classes hit by a sample of this size; `counts` (C,) are its hits of each class.

    That number gains by classes nearly missed and loses by classes barely hit, so its variance is the growth that twice
    the sample would bring (Good and Toulmin, 1956, for counts that are Poisson), estimated from the classes hit one to
    four times with the smoothing of Efron and Thisted (1976), less what a fixed sample size takes. Half its own
    standard error is added, which keeps the coverage when few classes are rare. Where no class was hit just once, the
    ends are what would be seen in 2.5 % of samples: a class among those missed that is hit after all, or one among
    those hit, unless often, that is missed. So the interval is a single number only where every class is hit often.
    """
    total, hit, missed = int(counts.sum()), int((counts > 0).sum()), int((counts == 0).sum())
    once, *_ = often = [int((counts == times).sum()) for times in (1, 2, 3, 4)]
    if not hit:
        return Interval(0.0, min(float(missed), _CHANCE))
    variance = sum(weight * number for weight, number in zip(_WEIGHTS, often, strict=True)) - once**2 / total
    error = math.sqrt(sum(weight**2 * number for weight, number in zip(_WEIGHTS, often, strict=True)))
    down = up = NORMAL * math.sqrt(max(0.0, variance) + error / 2)
    if not once:
        barely = 2 * float((0.5 ** counts[counts > 0].double()).sum())
        down = max(down, min(_unseen(hit), barely))
        up = max(up, _unseen(missed))
    return Interval(max(0.0, hit - down), min(float(hit + missed), hit + up))


def _unseen(classes: int) -> float:
    """Upper bound on the expected number of events among so many classes, where none was seen."""
    return classes * (1 - math.exp(-_CHANCE / classes)) if classes else 0.0
