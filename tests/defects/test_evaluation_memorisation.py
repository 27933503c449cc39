"""Defects of other tools in measures of memorisation and diversity, as regression tests here."""

import math

import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation.diversity.birthday import support_size
from evaluation.diversity.diversity import mean_distances
from evaluation.diversity.ms_ssim import ms_ssim
from evaluation.diversity.ndb import Bins, bins, different
from evaluation.diversity.vendi import vendi_score
from evaluation.features.cells import Cells
from evaluation.memorisation.authenticity import authentic, authenticity
from evaluation.memorisation.copy_test import copy_test
from evaluation.memorisation.copying import nearest_distances
from evaluation.memorisation.train_preference import train_preference


def gaussian(seed, count, dim=3):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def test_authenticity_indexes_distances_among_reals_by_the_numbers_of_fakes():
    """The authors' code compares fake j with the neighbour of real j; here with that of the real nearest to fake j."""
    real = torch.tensor([[0.0], [5.0], [100.0], [101.0]])
    fake = torch.tensor([[98.0], [0.5]])  # numbers 0 and 1, nearest to the reals 2 and 0
    assert authentic(fake, real).tolist() == [True, False]
    by_fakes = torch.tensor([5.0, 5.0]) < torch.tensor([2.0, 0.5])
    assert by_fakes.tolist() == [False, False]


def test_authenticity_has_three_scales():
    """dgm-eval gives per cent, fld per cent less 50; here it is a fraction, and copies have 0."""
    real = gaussian(0, 200)
    assert authenticity(real[:50], real).value == 0
    assert 0 < authenticity(gaussian(1, 100), real).value < 1


def test_authenticity_takes_images_without_detail_for_copies():
    """Faint images are nearer to training images than those are to each other, though nothing was copied."""
    real, held_out, fake = gaussian(0, 300, 30), gaussian(1, 300, 30), 0.1 * gaussian(2, 300, 30)
    assert authenticity(fake, real).high < authenticity(held_out, real).low
    assert copy_test(real, fake, held_out).z < -3
    found = train_preference(real, fake, held_out)
    assert found.low < 0.5 < found.high


def test_dgm_eval_draws_the_cells_of_the_copy_test_without_a_seed():
    """The same images give the same test whatever numpy's global generator does; another seed gives other cells."""
    sets = gaussian(0, 300), gaussian(1, 200), gaussian(2, 200)
    first = copy_test(*sets, seed=3)
    np.random.random(7)
    assert copy_test(*sets, seed=3) == first
    assert copy_test(*sets, seed=4).z != first.z


def test_gans_n_gmms_passes_an_option_that_k_means_no_longer_has():
    """The bins are made with the scikit-learn that is installed."""
    assert int(bins(gaussian(0, 200), gaussian(1, 100), num_bins=4).fake.sum()) == 100


def test_gans_n_gmms_counts_the_images_that_its_bins_were_fitted_to():
    """Of new images a fifth of such bins and more differ in 128 dimensions; here other real images are counted."""
    for seed in range(2):
        real, fake = gaussian(2 * seed, 500, 128), gaussian(2 * seed + 1, 2000, 128)
        cells = Cells(real, 25)
        fitted = different(Bins(*(cells.of(rows).bincount(minlength=25) for rows in (real, fake))))
        assert int(fitted.sum()) >= 5
        assert int(different(bins(real, fake, num_bins=25)).sum()) <= 2


def test_gans_n_gmms_uses_the_normal_approximation_for_a_handful_of_images():
    """One image of 40 against none of 400 has z = 3.2, but by chance it is there in one case of eleven."""
    pooled = 1 / 440
    assert 1 / 40 / math.sqrt(pooled * (1 - pooled) * (1 / 40 + 1 / 400)) > 1.96
    assert not different(Bins(torch.tensor([1, 39]), torch.tensor([0, 400])))[0]


def test_vendi_score_ignores_the_order_in_its_dual_form():
    """`score_X` of vendi-score 0.0.3 takes no q; here the smaller matrix serves every order."""
    rows = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    orders = [vendi_score(rows, order=order).value for order in (0.5, 1, 2, math.inf)]
    assert orders == sorted(orders, reverse=True)
    assert len({round(value, 6) for value in orders}) == 4


def test_torchmetrics_counts_reflected_borders_in_the_coarsest_scale():
    """Only windows inside the image count: an image of one window has the similarity of that window."""
    first = gaussian(0, 1, 121).reshape(1, 1, 11, 11).sigmoid()
    second = (first + first.flip(3)) / 2
    places = torch.arange(11, dtype=torch.float64) - 5
    weights = torch.exp(-(places[:, None] ** 2 + places**2) / 4.5)
    weights /= weights.sum()
    x, y = first[0, 0], second[0, 0]
    mean, other = (weights * x).sum(), (weights * y).sum()
    variance, spread = (weights * x**2).sum() - mean**2, (weights * y**2).sum() - other**2
    covariance = (weights * x * y).sum() - mean * other
    expected = (2 * mean * other + 1e-4) / (mean**2 + other**2 + 1e-4)
    expected *= (2 * covariance + 9e-4) / (variance + spread + 9e-4)
    assert float(ms_ssim(first, second)) == pytest.approx(float(expected), abs=1e-12)


def test_ms_ssim_of_opposite_contrast_is_nan():
    """A negative mean to a broken power is no number in the formula as published; here it is 0."""
    image = gaussian(0, 1, 28 * 28).reshape(1, 1, 28, 28).sigmoid()
    assert float(ms_ssim(image, 1 - image)) == 0


def test_distances_in_single_precision_hide_copies_far_from_0():
    """Torch's fast distance in float32 puts a copy 1.9 from itself at a feature mean of 50; here it is at 0."""
    features = (gaussian(0, 100, 256) + 50).float()
    assert float(torch.cdist(features, features).diagonal().amax()) > 0.01
    assert nearest_distances(features, features).tolist() == [0] * 100
    assert support_size(features.repeat(2, 1), 0.0).value == pytest.approx(199 * 200 / 2 / 100)
    assert float(mean_distances(features[:1].repeat(3, 1)).amax()) == pytest.approx(0, abs=1e-4)


def test_repeated_resamples_of_the_birthday_test_give_no_interval():
    """Arora and Zhang look at batches by eye; here all pairs count, and even no duplicate bounds the support."""
    found = support_size(torch.arange(200)[:, None], 0.5)
    assert math.isinf(found.value)
    assert found.low > 5000
