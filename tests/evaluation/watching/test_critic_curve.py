import math
from itertools import permutations

import pytest
from scipy import stats

from evaluation.watching.critic_curve import critic_correlation


def test_a_loss_whose_negative_falls_with_the_distance_correlates_fully() -> None:
    found = critic_correlation([-5, -3, -2, -1, -0.5], [400, 90, 50, 40, 39])
    assert found.value == pytest.approx(1)
    assert found.p_value == pytest.approx(1 / math.factorial(5))
    assert found.looks == 5


def test_a_loss_of_the_other_sign_correlates_negatively() -> None:
    found = critic_correlation([5, 3, 2, 1, 0.5], [400, 90, 50, 40, 39])
    assert found.value == pytest.approx(-1)
    assert found.p_value == pytest.approx(1)


def test_value_and_p_are_those_of_all_permutations() -> None:
    losses, distances = [-5.0, -1, -4, -2, -2, -0.5], [9.0, 3, 5, 6, 2, 1]
    found = critic_correlation(losses, distances)
    negated = [-loss for loss in losses]
    value = stats.spearmanr(negated, distances).statistic
    others = [stats.spearmanr(order, distances).statistic for order in permutations(negated)]
    assert found.value == pytest.approx(value)
    assert found.p_value == pytest.approx(sum(other >= value - 1e-9 for other in others) / len(others))


def test_a_long_curve_is_sampled_and_repeats() -> None:
    losses, distances = [-float(k) for k in range(30)], [float(k) for k in range(30)]
    assert critic_correlation(losses, distances).p_value == pytest.approx(1e-4)
    swapped = [*losses[15:], *losses[:15]]
    assert critic_correlation(swapped, distances) == critic_correlation(swapped, distances)


def test_nothing_is_claimed_of_constants_and_of_two_looks() -> None:
    assert math.isnan(critic_correlation([1, 1, 1], [3, 2, 1]).value)
    assert math.isnan(critic_correlation([1, 2], [2, 1]).p_value)
    with pytest.raises(ValueError, match="3 losses and 2 distances"):
        critic_correlation([1, 2, 3], [1, 2])
