"""The change of a generator's class histogram between two snapshots of training."""

from collections.abc import Sequence
from typing import NamedTuple


class Change(NamedTuple):
    """From one histogram of classes to the next."""

    variation: float
    """Total variation: the share of images that would have to change class, in [0, 1]."""
    gained: int
    """Classes that were not drawn before."""
    lost: int
    """Classes that are drawn no more."""


def change(before: Sequence[int], after: Sequence[int]) -> Change:
    """Compare two histograms of counts; a generator that hops between modes loses and gains them at a constant count.

    An empty histogram is one that differs from every other in all of its images.
    """
    first, second = max(1, sum(before)), max(1, sum(after))
    pairs = list(zip(before, after, strict=True))
    moved = sum(abs(old / first - new / second) for old, new in pairs) / 2
    if (sum(before) == 0) != (sum(after) == 0):
        moved = 1.0
    return Change(moved, sum(old == 0 < new for old, new in pairs), sum(new == 0 < old for old, new in pairs))
