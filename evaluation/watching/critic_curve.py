"""Rank correlation of a Wasserstein critic's loss with the Fréchet distance over training."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9999


class RankCorrelation(NamedTuple):
    """Spearman's rank correlation of n pairs and the share of orders in which chance does as well."""

    value: float
    p_value: float
    looks: int


def critic_correlation(losses: Sequence[float], distances: Sequence[float], *, seed: int = 0) -> RankCorrelation:
    """Rank correlation of minus the critic's loss with the Fréchet distance, look by look (Arjovsky et al., 2017).

    Minus the loss estimates the Wasserstein distance, so both should fall together. The p-value is the share of
    permutations with as large a correlation: all of them up to 7 looks, else 9,999 drawn ones. Looks at one training
    are not exchangeable, and any two decreasing curves correlate, so the p-value is only a check that both decrease.
    NaN where one of the two never changes, or there are fewer than three looks.
    """
    if len(losses) != len(distances):
        raise ValueError(f"{len(losses)} losses and {len(distances)} distances: one of each is needed for every look")
    critic, fixed = -np.asarray(losses, dtype=np.float64), np.asarray(distances, dtype=np.float64)
    if len(critic) < 3 or np.ptp(critic) == 0 or np.ptp(fixed) == 0:
        return RankCorrelation(math.nan, math.nan, len(critic))
    ranks = stats.rankdata(fixed)

    def agreement(order: NDArray[np.float64]) -> float:
        return float(np.corrcoef(order, ranks)[0, 1])

    test = stats.permutation_test(
        (stats.rankdata(critic),),
        agreement,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=RESAMPLES,
        rng=seed,
    )
    return RankCorrelation(float(test.statistic), float(test.pvalue), len(critic))
