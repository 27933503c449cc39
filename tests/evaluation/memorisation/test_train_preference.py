import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation.memorisation.train_preference import train_preference
from evaluation.statistics.intervals import wilson


def gaussian(seed, count, dim=4):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def test_equal_numbers_give_the_plain_share():
    real, held_out = torch.tensor([[0.0], [10.0], [20.0], [30.0]]), torch.tensor([[5.0], [15.0], [25.0], [35.0]])
    fake = torch.tensor([[0.1], [9.0], [20.5], [14.0]])  # each nearest to another image: three of training
    found = train_preference(real, fake, held_out)
    assert found.value == 0.75
    assert found[1:] == pytest.approx(wilson(3, 4))


def test_a_tie_counts_half():
    assert train_preference(torch.tensor([[0.0]]), torch.tensor([[1.0]]), torch.tensor([[2.0]])).value == 0.5


def test_copies_prefer_the_training_images_wholly_and_new_images_neither_side():
    real, held_out = gaussian(0, 300), gaussian(1, 100)
    assert train_preference(real, real[:150], held_out)[:2] == pytest.approx((1, 0.93), abs=0.01)
    found = train_preference(real, gaussian(2, 150), held_out)
    assert found.low < 0.5 < found.high


def test_images_without_detail_are_not_taken_for_copies():
    """They are near to everything; authenticity and the data-copying test take them for copies."""
    real, held_out = gaussian(0, 300, 30), gaussian(1, 300, 30)
    found = train_preference(real, 0.1 * gaussian(2, 300, 30), held_out)
    assert found.low < 0.5 < found.high


def test_copies_of_one_image_are_evidence_once():
    real, held_out = gaussian(0, 50), gaussian(1, 50)
    found = train_preference(real, real[:1].repeat(200, 1), held_out)
    assert found.value == 1
    assert found.low == pytest.approx(wilson(1, 1).low)


@pytest.mark.parametrize(("scale", "counts"), [(1.0, (100, 80, 100)), (0.5, (100, 80, 40))])
def test_intervals_hold_for_new_draws_of_all_three_sets(scale, counts):
    """Fakes of any distribution that did not see the training images take no side."""
    hits = []
    for seed in range(150):
        real, fake, held_out = (gaussian(3 * seed + part, count) for part, count in enumerate(counts))
        found = train_preference(real, scale * fake, held_out)
        hits.append(found.low <= 0.5 <= found.high)
    assert np.mean(hits) > 0.92
