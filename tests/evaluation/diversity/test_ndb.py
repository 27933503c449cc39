import math

import numpy as np
import pytest
import torch
from scipy import stats

from attacks.random import normal
from evaluation.diversity.ndb import LEVEL, Bins, bins, bins_divergence, different, different_share, null_divergence
from evaluation.features.cells import Cells


def gaussian(seed, count, dim=3):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def drawn(seed, real, fake, sizes=(600, 500)):
    generator = np.random.default_rng(seed)
    shares = (np.asarray(part, dtype=float) / sum(part) for part in (real, fake))
    return Bins(*(torch.from_numpy(generator.multinomial(n, p)) for n, p in zip(sizes, shares, strict=True)))


def test_bins_of_points_far_apart_are_those_points():
    corners = 100 * torch.eye(4, 2).repeat(30, 1) + 100 * torch.eye(4, 2).flip(0).repeat(30, 1)
    corners += torch.tensor([[0.0, 0], [0, 0], [7, 0], [0, 7]]).repeat(30, 1)
    found = bins(corners, corners[::4], num_bins=4)
    assert int(found.real.sum()) == 60
    assert sorted(found.fake.tolist()) == [0, 0, 0, 30]


def test_cells_are_those_of_the_nearest_mean_and_seeded():
    features = gaussian(0, 200)
    cells = Cells(features, 7, seed=3).of(features)
    means = torch.stack([features[cells == number].mean(dim=0) for number in range(7)])
    assert torch.equal(torch.cdist(features, means).argmin(dim=1), cells)
    assert torch.equal(Cells(features, 7, seed=3).of(features), cells)
    with pytest.raises(ValueError, match="fewer cells"):
        Cells(features[:3], 4)


def test_cells_of_many_features_are_made_in_their_principal_directions():
    features = torch.cat([gaussian(0, 150, 100), gaussian(1, 150, 100) + 9])
    cells = Cells(features, 2).of(features)
    assert len(set(cells[:150].tolist())) == len(set(cells[150:].tolist())) == 1
    assert cells[0] != cells[-1]


def test_the_test_is_the_two_proportion_z_test_where_counts_are_large():
    found = Bins(torch.tensor([100, 130, 370]), torch.tensor([50, 150, 300]))
    expected = []
    for hits, others in zip(*(part.tolist() for part in found), strict=True):
        table = [[hits, 600 - hits], [others, 500 - others]]
        expected.append(stats.chi2_contingency(table, correction=False).pvalue < LEVEL)
    assert different(found).tolist() == expected == [True, True, False]


def test_small_counts_are_tested_exactly():
    """The z test would call 5 of 100 against 0 of 100 different (p = 0.02); Fisher's exact test does not (p = 0.06)."""
    assert not different(Bins(torch.tensor([5, 95]), torch.tensor([0, 100])))[0]
    assert different(Bins(torch.tensor([6, 94]), torch.tensor([0, 100])))[0]


def test_a_perfect_generator_differs_in_the_level_of_the_bins():
    found = [different_share(bins(gaussian(2 * s, 1200), gaussian(2 * s + 1, 500), num_bins=20)) for s in range(60)]
    assert np.mean([one.value for one in found]) == pytest.approx(LEVEL, abs=0.02)
    assert np.mean([one.low <= LEVEL <= one.high for one in found]) > 0.88


def test_divergence_has_its_closed_forms():
    assert bins_divergence(Bins(torch.tensor([50, 0]), torch.tensor([0, 80]))).value == pytest.approx(math.log(2))
    assert bins_divergence(Bins(torch.tensor([50, 20]), torch.tensor([100, 40]))).value == pytest.approx(0, abs=1e-15)
    real, fake = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    found = bins_divergence(Bins(torch.tensor([20, 30, 50]), torch.tensor([60, 30, 10]))).value
    middle = (real + fake) / 2
    assert found == pytest.approx((stats.entropy(real, middle) + stats.entropy(fake, middle)) / 2)


def test_divergence_of_a_perfect_generator_is_its_null():
    shares = [5, 4, 3, 2, 2, 1, 1, 1, 1]
    found = [drawn(seed, shares, shares) for seed in range(300)]
    average = np.mean([bins_divergence(one).value for one in found])
    assert average == pytest.approx(np.mean([null_divergence(one) for one in found]), rel=0.1)


@pytest.mark.parametrize("fake", [[5, 4, 3, 2, 2, 1, 1, 1, 1], [5, 4, 3, 2, 0, 0, 1, 1, 4]])
def test_intervals_of_the_divergence_cover_its_expectation(fake):
    found = [bins_divergence(drawn(seed, [5, 4, 3, 2, 2, 1, 1, 1, 1], fake)) for seed in range(300)]
    truth = np.mean([one.value for one in found])
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.92


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="too few for bins"):
        bins(gaussian(0, 60), gaussian(1, 60))
