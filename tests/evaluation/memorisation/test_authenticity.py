import pytest
import torch

from attacks.random import normal
from evaluation.features.neighbours import nearest
from evaluation.memorisation.authenticity import authentic, authenticity
from evaluation.statistics.intervals import wilson


def gaussian(seed, count, dim=3):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def by_definition(samples, real):
    """With whole matrices of plain distances."""
    within = torch.cdist(real, real, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    distances, indices = torch.cdist(samples, real, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    return within.amin(dim=1)[indices] < distances


def test_constructed_points():
    real = torch.tensor([[0.0], [1.0], [10.0], [10.1]])  # their own neighbours are 1, 1, 0.1 and 0.1 away
    samples = torch.tensor([[0.4], [-0.9], [-1.1], [10.0], [10.21], [10.19]])
    assert authentic(samples, real).tolist() == [False, False, True, False, True, False]
    assert authenticity(samples, real) == pytest.approx((2 / 6, *wilson(2, 6)))


def test_it_equals_the_definition():
    real, samples = gaussian(0, 80), gaussian(1, 60)
    expected = by_definition(samples, real)
    assert 5 < int(expected.sum()) < 55
    assert torch.equal(authentic(samples, real), expected)
    assert torch.equal(authentic(samples, real, nearest(samples, real, 1)), expected)


def test_copies_are_never_authentic_even_of_images_that_are_there_twice():
    real = torch.cat([gaussian(0, 20), gaussian(0, 20)])
    assert authenticity(real[:20], real).value == 0
    assert authenticity(real[:20] + 1e-3, real).value == 1  # the twin of the training image is nearer than the fake


def test_new_images_of_the_distribution_are_as_authentic_as_held_out_ones():
    real = gaussian(0, 400)
    fake, held_out = authenticity(gaussian(1, 400), real), authenticity(gaussian(2, 400), real)
    assert fake.low < held_out.value < fake.high
