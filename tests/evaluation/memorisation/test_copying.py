import pytest
import torch

from attacks.random import normal
from evaluation.memorisation.copying import copied, copied_share, nearest_training


def test_the_nearest_fakes_come_first_with_their_training_images():
    real = torch.tensor([[0.0], [10.0], [20.0]])
    fake = torch.tensor([[12.0], [20.0], [-1.0], [5.5]])
    found = nearest_training(fake, real, 3, held_out=torch.tensor([[2.0], [14.0], [21.0]]))
    assert found.fakes.tolist() == [1, 2, 0]
    assert found.neighbours.tolist() == [2, 0, 1]
    assert found.ratios.tolist() == [0, 0.5, 1]  # over the median distance of held-out images, 2
    assert nearest_training(fake, real, 9).ratios.tolist() == pytest.approx([0, 0.1, 0.2, 0.45])


def test_copies_are_below_a_hundredth_of_the_held_out_distances():
    held_out = torch.arange(1, 102, dtype=torch.float64)
    assert copied(torch.tensor([1.5, 2.0, 60.0]), held_out).tolist() == [True, False, False]
    distances = normal(0, torch.arange(4000), (), dtype=torch.float64).abs()
    assert copied_share(distances[:2000], distances[2000:]) == pytest.approx(0.01, abs=0.006)
