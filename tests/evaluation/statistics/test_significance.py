"""Differences on the same images, of independent ones, and many of them at once."""

import math

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.intervals import Estimate
from evaluation.statistics.significance import holm, independent, paired


@pytest.mark.parametrize(("only_first", "only_second"), [(12, 2), (2, 12), (5, 5), (1, 0)])
def test_a_pair_is_tested_as_mcnemar_does(only_first: int, only_second: int) -> None:
    found = paired(only_first, only_second, 100)
    smaller = min(only_first, only_second)
    tails = sum(math.comb(only_first + only_second, k) for k in range(smaller + 1)) * 2.0 ** -(only_first + only_second)
    assert found.p_value == pytest.approx(min(1.0, 2 * tails))
    assert found.value == pytest.approx((only_first - only_second) / 100)
    assert found.pairs == 100


def test_the_interval_of_a_pair_is_that_of_tango() -> None:
    """Closed forms: z^2 / (n + z^2) where all agree, (n - z^2) / (n + z^2) where all differ one way; and mirrored."""
    square = stats.norm.ppf(0.975) ** 2
    assert paired(0, 0, 100)[1:3] == (pytest.approx(-square / (100 + square)), pytest.approx(square / (100 + square)))
    assert paired(43, 0, 43)[1:3] == (pytest.approx((43 - square) / (43 + square)), 1)
    one, other = paired(12, 2, 100), paired(2, 12, 100)
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


@pytest.mark.parametrize("shares", [(0.1, 0.05), (0.02, 0.02), (0.3, 0.01)])
def test_the_interval_of_a_pair_covers(shares: tuple[float, float]) -> None:
    draws = np.random.default_rng(0).multinomial(60, [*shares, 1 - sum(shares)], size=300)
    inside = [
        paired(one, other, 60)[1] <= shares[0] - shares[1] <= paired(one, other, 60)[2] for one, other, _ in draws
    ]
    assert np.mean(inside) >= 0.92


def test_equal_pairs_are_told_apart_in_less_than_one_of_twenty() -> None:
    draws = np.random.default_rng(1).multinomial(80, [0.15, 0.15, 0.7], size=400)
    assert np.mean([paired(one, other, 80).p_value < 0.05 for one, other, _ in draws]) <= 0.06


def test_independent_numbers_add_their_errors() -> None:
    found = independent(Estimate(5, 4.7, 5.3), Estimate(4, 3.6, 4.4))
    assert found[:3] == (pytest.approx(1), pytest.approx(0.5), pytest.approx(1.5))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(1 / (0.5 / stats.norm.ppf(0.975))))
    assert math.isnan(independent(Estimate(1, math.nan, math.nan), Estimate(0, -1, 1)).p_value)


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    assert holm([0.03, 0.001, 0.04]) == pytest.approx([0.06, 0.003, 0.06])
    assert holm([]) == []
