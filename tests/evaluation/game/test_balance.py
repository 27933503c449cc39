"""How the game stands, in numbers that logits tell, and their intervals."""

import math

import pytest
import torch
from torch import Tensor

from attacks.random import normal
from evaluation.game.balance import (
    overfitting_share,
    overfitting_share_estimate,
    overfitting_signs,
    overfitting_signs_estimate,
)
from evaluation.game.mode_consistency import moved


def logits(seed: int, mean: float, count: int = 200) -> Tensor:
    return mean + normal(seed, torch.arange(count), ())


def test_signs_of_karras_and_their_interval_know_that_all_is_not_certain() -> None:
    assert overfitting_signs(torch.tensor([2.0, 1, -1, 3])) == 0.5
    value, low, high = overfitting_signs_estimate(torch.ones(100))
    assert value == 1
    assert 0.9 < low < 1
    assert high == pytest.approx(1)
    assert overfitting_signs_estimate(torch.zeros(100)).value == 0
    assert overfitting_signs_estimate(torch.zeros(100)).low < 0 < overfitting_signs_estimate(torch.zeros(100)).high
    few = overfitting_signs_estimate(-torch.ones(100))
    assert few.low == pytest.approx(-1)


def test_the_share_is_0_where_held_out_are_as_train_and_1_where_they_are_as_fakes() -> None:
    train, fake = logits(0, 2), logits(1, -2)
    assert overfitting_share(train, train, fake) == 0
    assert overfitting_share(train, fake, fake) == 1
    assert overfitting_share(train, train, train) is None


def test_the_share_has_no_interval_where_train_is_not_told_from_fake() -> None:
    unknown = overfitting_share_estimate(logits(0, 0), logits(1, 0), logits(2, 0))
    assert math.isfinite(unknown.value)
    assert math.isnan(unknown.low)
    same = torch.ones(20)
    assert math.isnan(overfitting_share_estimate(same, same, same).value)


def test_intervals_of_both_cover() -> None:
    """The share of these means is 1/4, E sign of N(1, 1) is 2 Phi(1) - 1."""
    parts = [(logits(3 * seed, 1), logits(3 * seed + 1, 0.5), logits(3 * seed + 2, -1)) for seed in range(150)]
    shares = [overfitting_share_estimate(*each) for each in parts]
    signs = [overfitting_signs_estimate(each[0]) for each in parts]
    for found, truth in ((shares, 0.25), (signs, math.erf(1 / math.sqrt(2)))):
        assert 0.9 <= sum(one.low <= truth <= one.high for one in found) / len(found) <= 0.99


def test_images_of_one_batch_count_as_one_where_they_move_together() -> None:
    """Every batch of 32 moves by a length of its own, so 512 latents are worth 16."""
    lengths = 1 + 0.2 * normal(0, torch.arange(16), ()).repeat_interleave(32)
    first = torch.zeros(512, 3)
    second = first.clone()
    second[:, 0] = lengths
    together = moved(first, second, unit=1.0, batch_size=32)
    alone = moved(first, second, unit=1.0)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 4 * (alone.high - alone.low)
