"""Whether one attack breaks more than another by more than chance."""

from scipy import stats
from torch import Tensor

LEVEL = 0.01
"""Chance of a false alarm where two attacks are compared."""


def beats(robust_to_one: Tensor, robust_to_other: Tensor) -> bool:
    """Whether the first attack breaks images that the second leaves so much more often that chance will not do.

    McNemar's exact test on (N,) booleans of the same images: only those count at which the two differ.
    """
    only_one = int((~robust_to_one & robust_to_other).sum())
    only_other = int((robust_to_one & ~robust_to_other).sum())
    if only_one == 0:
        return False
    return float(stats.binomtest(only_one, only_one + only_other, alternative="greater").pvalue) < LEVEL
