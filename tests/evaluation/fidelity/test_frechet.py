import numpy as np
import pytest
import torch
from scipy import linalg

from attacks.random import normal
from evaluation.features.moments import Moments
from evaluation.fidelity.frechet import (
    frechet_distance,
    frechet_from_statistics,
    frechet_of_moments,
    frechet_to_statistics,
)


def gaussian(seed, count, dim, *, decay=0.0, shift=0.0):
    spectrum = torch.arange(1, dim + 1, dtype=torch.float64) ** -decay
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64) * spectrum.sqrt() + shift


def fidelity(real, fake):
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    stats = [fid_features_to_statistics(features.double()) for features in (real, fake)]
    return fid_statistics_to_metric(*stats, verbose=False)[KEY_METRIC_FID]


def with_root(real, fake):
    """The formula as it is written."""
    (first_mean, first), (second_mean, second) = (statistics(features) for features in (real, fake))
    root = np.trace(linalg.sqrtm(first.numpy() @ second.numpy()).real)
    return float((first_mean - second_mean).square().sum() + first.trace() + second.trace() - 2 * root)


def statistics(features):
    return features.mean(dim=0), torch.from_numpy(np.atleast_2d(np.cov(features.numpy(), rowvar=False)))


@pytest.mark.parametrize("count", [5, 500])
def test_a_shift_of_3_in_8_dimensions_is_72(count):
    features = gaussian(0, count, 8)
    assert frechet_distance(features, features + 3) == pytest.approx(72, abs=1e-9)


@pytest.mark.parametrize("count", [20, 64, 65, 400])
def test_a_set_is_at_distance_0_from_itself(count):
    features = gaussian(0, count, 64, decay=1)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-10)


def test_rounding_never_makes_a_distance_negative():
    assert all(frechet_distance(gaussian(seed, 50, 5), gaussian(seed, 50, 5)) >= 0 for seed in range(30))


def test_scaling_one_set_has_a_closed_form():
    features = gaussian(0, 300, 16)
    features = features - features.mean(dim=0)
    expected = (3 - 1) ** 2 * float(features.var(dim=0).sum())
    assert frechet_distance(features, 3 * features) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("decay", "counts"), [(0, (400, 300)), (1, (400, 300)), (0, (400, 50)), (1, (70, 400))])
def test_it_equals_torch_fidelity(decay, counts):
    real, fake = gaussian(0, counts[0], 64, decay=decay), gaussian(1, counts[1], 64, decay=decay, shift=0.1)
    assert frechet_distance(real, fake) == pytest.approx(fidelity(real, fake), rel=1e-6)


@pytest.mark.parametrize(("decay", "counts"), [(0, (400, 300)), (1, (400, 300)), (2, (400, 300)), (0, (65, 66))])
def test_it_equals_scipys_matrix_root(decay, counts):
    real, fake = gaussian(0, counts[0], 64, decay=decay), gaussian(1, counts[1], 64, decay=decay, shift=0.1)
    assert frechet_distance(real, fake) == pytest.approx(with_root(real, fake), rel=1e-7)


def test_the_order_of_the_sets_does_not_matter():
    real, fake = gaussian(0, 200, 16, decay=1), gaussian(1, 30, 16, shift=0.5)
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(fake, real), rel=1e-12)


def test_with_fewer_rows_than_columns_it_is_what_it_is_in_the_space_that_the_rows_span():
    """Two sets in a 6-dimensional subspace of 40: the same distance as in the coordinates of that subspace."""
    real, fake = gaussian(0, 20, 6, decay=1), gaussian(1, 25, 6, shift=0.3)
    basis = torch.linalg.qr(gaussian(2, 40, 6))[0]
    inside, embedded = frechet_distance(real, fake), frechet_distance(real @ basis.T, fake @ basis.T)
    assert embedded == pytest.approx(inside, rel=1e-9)


def test_columns_that_depend_on_each_other_lose_no_digits():
    real, fake = gaussian(0, 200, 6), gaussian(1, 300, 6, shift=0.3)
    mix = torch.linalg.qr(gaussian(2, 20, 6))[0].T
    assert frechet_distance(real @ mix, fake @ mix) == pytest.approx(frechet_distance(real, fake), rel=1e-9)


@pytest.mark.parametrize("orders", [3, 6, 9])
def test_a_spectrum_over_many_orders_of_magnitude_loses_no_digits(orders):
    features = gaussian(0, 300, 40) * torch.logspace(0, -orders, 40, dtype=torch.float64)
    features = features - features.mean(dim=0)
    mixed = features @ torch.linalg.qr(gaussian(1, 40, 40))[0]
    assert frechet_distance(mixed, 2 * mixed) == pytest.approx(float(features.var(dim=0).sum()), rel=1e-10)


def test_features_that_never_change_in_one_set_still_count_their_variance_and_mean():
    real, fake = gaussian(0, 200, 3), gaussian(1, 200, 3)
    dead = torch.full((200, 1), 2.0, dtype=torch.float64)
    living = gaussian(3, 200, 1)
    extra = float((living.mean() - 2) ** 2 + living.var())
    joined = torch.cat([real, dead], dim=1), torch.cat([fake, living], dim=1)
    # The living column is independent of the others only up to its sample covariance, which the trace ignores too.
    expected = pytest.approx(frechet_distance(real, fake) + extra, rel=1e-9)
    assert frechet_distance(*joined) == expected
    assert frechet_from_statistics(*(statistics(features) for features in joined)) == expected


def test_two_constant_sets_differ_by_their_means_alone():
    assert frechet_distance(torch.ones(5, 3), torch.zeros(4, 3)) == 3.0
    assert frechet_of_moments(Moments.of(torch.ones(5, 3)), Moments.of(torch.zeros(4, 3))) == 3.0


def test_float32_features_are_computed_in_float64():
    features = (gaussian(0, 500, 8) + 1000).float()
    assert frechet_distance(features, features + 3) == pytest.approx(72, rel=1e-6)


@pytest.mark.parametrize("counts", [(400, 300), (400, 30), (20, 30)])
def test_statistics_give_what_their_features_do(counts):
    real, fake = gaussian(0, counts[0], 40, decay=1), gaussian(1, counts[1], 40, shift=0.2)
    whole = frechet_distance(real, fake)
    assert frechet_from_statistics(statistics(real), statistics(fake)) == pytest.approx(whole, rel=1e-9)
    streamed = Moments.of(real[:7]) + Moments.of(real[7:])
    assert frechet_of_moments(streamed, Moments.of(fake)) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.zeros(1, 4), torch.zeros(9, 4), "real features are"),
        (torch.zeros(9, 4), torch.zeros(4), "fake features are"),
        (torch.zeros(9, 4), torch.zeros(9, 5), "real features have 4 columns, fake 5"),
        (torch.zeros(9, 4), torch.full((9, 4), torch.nan), "fake features hold NaN"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(real, fake, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, fake)


def test_statistics_that_cannot_be_compared_are_refused():
    good = torch.zeros(4), torch.eye(4)
    with pytest.raises(ValueError, match="use statistics of one extractor"):
        frechet_from_statistics(good, (torch.zeros(5), torch.eye(5)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        frechet_from_statistics(good, (torch.zeros(4), torch.full((4, 4), torch.nan)))


@pytest.mark.parametrize("counts", [(20, 30), (200, 30), (200, 48), (20, 2)])
def test_few_features_are_as_far_from_statistics_as_their_own_covariance_is(counts):
    real, fake = gaussian(0, counts[0], 48, decay=1), gaussian(1, counts[1], 48, decay=1, shift=0.1)
    assert frechet_to_statistics(statistics(real), fake) == pytest.approx(frechet_distance(real, fake), rel=1e-6)
    both = [statistics(features) for features in (real, fake)]
    assert frechet_from_statistics(*both) == pytest.approx(frechet_distance(real, fake), rel=1e-6)


def test_few_features_against_broken_statistics_are_refused():
    mean, covariance = statistics(gaussian(0, 20, 8))
    with pytest.raises(ValueError, match="NaN or infinity"):
        frechet_to_statistics((mean * float("nan"), covariance), gaussian(1, 5, 8))
