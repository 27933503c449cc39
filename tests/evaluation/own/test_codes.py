import math
from itertools import permutations

import pytest
import torch

from evaluation.own.codes import best_matching, code_correlations, matched_accuracy, random_values
from evaluation.statistics.intervals import wilson


def test_a_renamed_class_is_matched_exactly() -> None:
    labels = torch.arange(3).repeat(20)
    renamed = torch.tensor([2, 0, 1])[labels]
    assert best_matching(renamed, labels).tolist() == [1, 2, 0]
    assert matched_accuracy(renamed, labels) == (1, *wilson(60, 60))


def test_the_matching_is_one_to_one_and_the_best_of_all() -> None:
    """Two values may not name one class, though both hold mostly it; found again by trying every assignment."""
    generator = torch.Generator().manual_seed(0)
    values, labels = (torch.randint(0, 5, (200,), generator=generator) for _ in range(2))
    best = max(int((torch.tensor(order)[values] == labels).sum()) for order in permutations(range(5)))
    assert matched_accuracy(values, labels) == (best / 200, *wilson(best, 200))
    assert sorted(best_matching(values, labels).tolist()) == list(range(5))
    crowded = matched_accuracy(torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 0, 0, 1]))
    assert crowded.value == pytest.approx(4 / 6)


def test_values_beyond_the_classes_name_none_and_a_single_value_names_one() -> None:
    assert best_matching(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1])).tolist().count(-1) == 1
    assert matched_accuracy(torch.zeros(10, dtype=torch.int64), torch.arange(10)).value == pytest.approx(0.1)
    assert math.isnan(matched_accuracy(torch.zeros(0), torch.zeros(0)).value)


def test_a_random_head_uses_its_values_and_repeats_for_its_seed() -> None:
    features = torch.randn(2000, 30, generator=torch.Generator().manual_seed(0)) * 3 + 100
    values = random_values(features, 10)
    assert values.unique().tolist() == list(range(10))
    assert torch.equal(values, random_values(features, 10))
    assert not torch.equal(values, random_values(features, 10, seed=1))
    labels = torch.arange(2000) % 10
    assert 0.1 < matched_accuracy(values, labels).value < 0.17


def test_correlations_are_pearsons_with_fishers_interval() -> None:
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(500, 2, generator=generator)
    guessed = torch.stack([2 * given[:, 0] + 1, -given[:, 1] + torch.randn(500, generator=generator)], dim=1)
    exact, noisy = code_correlations(guessed, given)
    assert exact.value == pytest.approx(1)
    expected = torch.corrcoef(torch.stack([guessed[:, 1], given[:, 1]]))[0, 1].item()
    assert noisy.value == pytest.approx(expected, abs=1e-6)
    margin = 1.959964 / math.sqrt(497)
    assert noisy.low == pytest.approx(math.tanh(math.atanh(expected) - margin), abs=1e-5)
    assert noisy.high == pytest.approx(math.tanh(math.atanh(expected) + margin), abs=1e-5)
    (constant,) = code_correlations(torch.ones(9, 1), given[:9, :1])
    assert math.isnan(constant.value)
