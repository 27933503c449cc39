"""The exchange test is exact: it raises an alarm as often as it says, and sees what means alone do not show."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.random import normal
from evaluation.statistics.exchanges import LEAST, exchanged


def rows(seed: int, count: int, *, scale: float = 1.0) -> Tensor:
    return scale * normal(seed, torch.arange(count), (3,), dtype=torch.float64)


def test_pairs_of_one_law_are_as_far_apart_as_their_exchanges() -> None:
    """Pairs of classes with very uneven numbers and laws: the share above 95 % of exchanges is 5 %."""
    classes = torch.tensor([0] * 27 + [1] * 3)[:, None]
    above = []
    for seed in range(200):
        first, second = (rows(2 * seed + side, 30) * (1 + 4 * classes) + 9 * classes for side in (0, 1))
        found = exchanged(first, second, seed=seed)
        assert not found.apart or seed > 0
        above.append(found.apart)
    assert np.mean(above) <= 0.01


def test_a_wider_law_of_the_same_mean_is_told() -> None:
    assert exchanged(rows(0, 200), rows(1, 200, scale=1.5)).apart
    assert not exchanged(rows(0, 200), rows(1, 200)).apart


def test_it_is_the_energy_distance_in_mean_distances() -> None:
    """Constant sets a distance of 2 from a spread of unit length: twice what is across, less what is within."""
    first, second = torch.full((40, 1), 10.0).double(), torch.arange(40)[:, None].double() % 2
    unit = 20 / 39  # half of the others, and one more, are at distance 1
    assert exchanged(first, second).distance == pytest.approx((2 * 9.5 - unit) / unit)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_equal_sets_and_few_pairs_are_not_apart(scale: float) -> None:
    some = rows(0, 50, scale=scale)
    assert not exchanged(some, some).apart
    assert not exchanged(some, some.flip(0)).apart
    assert not exchanged(torch.zeros(50, 3), torch.zeros(50, 3)).apart
    assert not exchanged(some[: LEAST - 1], some[: LEAST - 1] + scale * 100).apart
    assert exchanged(some, some + scale * 100).apart
