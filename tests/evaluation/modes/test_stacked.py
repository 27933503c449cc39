import math

import pytest
import torch
from torch import Tensor

from evaluation.features.features import Extractor, extract
from evaluation.modes.points import mode_counts, mode_scores, modes_captured, reverse_kl
from evaluation.modes.stacked import stacked_extractor


def digit_look(images: Tensor) -> tuple[Tensor, Tensor]:
    """A digit whose grey level is 10 d + 5, seen with probability 0.55, all others with 0.05."""
    level = (images[:, 0, 0, 0] * 255).round()
    digits = (level // 10).long()
    probabilities = torch.full((len(images), 10), 0.05, dtype=torch.float64)
    probabilities[torch.arange(len(images)), digits] = 0.55
    return torch.stack([level, -level], dim=1), probabilities


STACKED = stacked_extractor(Extractor("cnn", "0123", digit_look, "levels"))


def stack(*numbers: int) -> Tensor:
    digits = torch.tensor([[number // 100, number // 10 % 10, number % 10] for number in numbers])
    return ((10 * digits + 5) / 255)[:, :, None, None].expand(-1, -1, 4, 4)


def test_the_class_is_the_number_that_the_digits_spell() -> None:
    numbers = [0, 7, 70, 700, 123, 321, 999]
    assert extract(STACKED, stack(*numbers), batch_size=3).classes.tolist() == numbers


def test_probabilities_are_products_and_features_stand_side_by_side() -> None:
    found = extract(STACKED, stack(123))
    assert found.probabilities.shape == (1, 1000)
    assert found.probabilities.sum().item() == pytest.approx(1)
    assert found.probabilities[0, 123].item() == pytest.approx(0.55**3)
    assert found.probabilities[0, 124].item() == pytest.approx(0.55**2 * 0.05)
    assert found.probabilities[0, 456].item() == pytest.approx(0.05**3)
    assert found.values.tolist() == [[15, -15, 25, -25, 35, -35]]
    assert (found.extractor, found.digest) == ("cnn", "0123")


def test_modes_and_divergence_are_counted_over_all_thousand() -> None:
    some = extract(STACKED, stack(*range(0, 1000, 4)))
    assert modes_captured(some) == 250
    assert reverse_kl(some).value == pytest.approx(math.log(4))
    every = extract(STACKED, stack(*range(1000)))
    assert modes_captured(every) == 1000
    assert reverse_kl(every).value == pytest.approx(0, abs=1e-9)
    assert mode_counts(extract(STACKED, stack(5, 5, 8)))[5] == 2


def test_there_is_no_high_quality_of_digits() -> None:
    assert {score.metric for score in mode_scores(extract(STACKED, stack(1, 2)))} == {"modes_captured", "reverse_kl"}
