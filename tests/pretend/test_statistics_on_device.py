"""Statistics that a library of the CPU makes take what is on the device, and say the same."""

import pytest
import torch

from attacks.random import uniform
from evaluation.game.discriminator import separation
from evaluation.memorisation.copy_test import rank_test
from evaluation.memorisation.copying import nearest_training
from evaluation.own.codes import best_matching, matched_accuracy, random_values
from evaluation.own.probe import labelled_rows, linear_probe

FEATURES, OTHERS = uniform(0, torch.arange(60), (5,)), uniform(1, torch.arange(60), (5,))
LABELS = torch.arange(60) % 3


def test_ranks(cuda: torch.device) -> None:
    first, second = FEATURES[:, 0], OTHERS[:, 1]
    assert rank_test(first.to(cuda), second.to(cuda)) == rank_test(first, second)
    assert separation(first.to(cuda), second.to(cuda)) == separation(first, second)


def test_codes(cuda: torch.device) -> None:
    values = (LABELS + 1) % 3
    assert torch.equal(best_matching(values.to(cuda), LABELS.to(cuda)), best_matching(values, LABELS))
    assert matched_accuracy(values.to(cuda), LABELS.to(cuda)).value == 1
    assert torch.equal(random_values(FEATURES.to(cuda), 4).cpu(), random_values(FEATURES, 4))


def test_probes(cuda: torch.device) -> None:
    given = (FEATURES, LABELS, OTHERS, LABELS)
    assert linear_probe(*(each.to(cuda) for each in given)).value == pytest.approx(linear_probe(*given).value)
    assert torch.equal(labelled_rows(LABELS.to(cuda), 9), labelled_rows(LABELS, 9))


def test_pictures_of_the_nearest_training_images_can_be_picked_from_the_cpu(cuda: torch.device) -> None:
    found = nearest_training(FEATURES.to(cuda), OTHERS.to(cuda), 4)
    expected = nearest_training(FEATURES, OTHERS, 4)
    assert FEATURES[found.fakes].shape == (4, 5)
    assert torch.equal(found.neighbours, expected.neighbours)
    assert torch.equal(found.ratios, expected.ratios)
