"""Classes that move between snapshots, and games that go in circles."""

import math

import pytest
import torch
from torch import Tensor

from attacks.random import integers, normal
from evaluation.modes.hopping import hopping_of_counts, hopping_of_samples, mean_hopping, modes_changed, oscillation


def drawn(seed: int, count: int = 300, classes: int = 5) -> Tensor:
    return integers(seed, torch.arange(count), classes)


def test_a_generator_that_stands_still_hops_nowhere_and_one_that_jumps_moves_everything() -> None:
    still = hopping_of_samples(torch.stack([drawn(0), drawn(0), drawn(0)]), num_classes=5)
    assert still.estimate == (0, 0, 0)
    ones = torch.ones(50, dtype=torch.int64)
    jumping = hopping_of_samples(torch.stack([0 * ones, ones, 0 * ones]), num_classes=2)
    assert jumping.estimate == pytest.approx((1, 1, 1))
    counts = [[50, 0], [0, 50], [50, 0]]
    assert mean_hopping(hopping_of_counts(counts)).value == 1
    assert modes_changed(counts) == 4


def test_the_variation_of_counts_is_half_the_sum_of_differences() -> None:
    counts = [[10, 20, 70], [30, 20, 50], [30, 30, 40]]
    found = hopping_of_counts(counts)
    assert found.estimate.value == pytest.approx((0.2 + 0.1) / 2)
    assert modes_changed(counts) == 0


@pytest.mark.parametrize("looks", [2, 4])
def test_the_interval_and_the_floor_hold_for_new_draws_of_one_generator(looks: int) -> None:
    runs = [
        [torch.bincount(drawn(looks * run + look), minlength=5).tolist() for look in range(looks)] for run in range(150)
    ]
    found = [hopping_of_counts(counts) for counts in runs]
    truth = sum(one.estimate.value for one in found) / len(found)
    covered = sum(one.estimate.low <= truth <= one.estimate.high for one in found)
    assert 0.9 <= covered / len(found) <= 0.995
    assert sum(one.floor for one in found) / len(found) == pytest.approx(truth, rel=0.05)


def test_common_latents_make_the_interval_narrower_than_counts_can() -> None:
    before = drawn(0, 1000)
    after = torch.where(drawn(1, 1000, 10) == 0, (before + 1) % 5, before)
    after[before == 4] = 0
    classes = torch.stack([before, after])
    paired = hopping_of_samples(classes, num_classes=5).estimate
    counted = hopping_of_counts([torch.bincount(one, minlength=5).tolist() for one in classes]).estimate
    assert paired.value == pytest.approx(counted.value)
    assert paired.high - paired.low < 0.9 * (counted.high - counted.low)


def test_the_interval_of_common_latents_covers() -> None:
    def pair(seed: int) -> Tensor:
        before = drawn(seed, 200)
        return torch.stack([before, torch.where(drawn(seed + 1000, 200, 2) == 0, 0, before)])

    found = [hopping_of_samples(pair(seed), num_classes=5).estimate for seed in range(150)]
    truth = sum(one.value for one in found) / len(found)
    assert 0.9 <= sum(one.low <= truth <= one.high for one in found) / len(found) <= 0.995


def test_one_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more checkpoints"):
        hopping_of_samples(torch.zeros(1, 5, dtype=torch.int64), num_classes=2)
    with pytest.raises(ValueError, match="two looks"):
        hopping_of_counts([[1, 2]])


def test_a_circle_is_found_with_its_period_and_a_trend_is_none() -> None:
    circle = [0.01 * look + math.sin(2 * math.pi * look / 6) for look in range(36)]
    found = oscillation(circle)
    assert found.period == 6
    assert found.strength > 0.7
    assert found.p_value.high < 0.01
    assert math.isnan(oscillation([0.1 * look for look in range(20)]).strength)
    hill = oscillation([math.exp(-(((look - 18) / 7) ** 2)) for look in range(36)])  # resembles itself, but only once
    assert hill.strength < 0.5
    assert hill.period != 1
    noise = oscillation(normal(2, torch.arange(36), ()).tolist())
    assert noise.p_value.value > 0.01
    assert math.isnan(oscillation(circle[:7]).strength)


def test_noise_is_called_a_circle_as_rarely_as_the_p_value_says() -> None:
    found = [oscillation(normal(seed, torch.arange(20), ()).tolist(), seed=seed).p_value.value for seed in range(40)]
    assert sum(value < 0.1 for value in found) <= 9
