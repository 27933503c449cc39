import math

import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity import kernel_pairs
from evaluation.fidelity.kernel import KERNEL_METRICS, kernel_distance, kernel_estimate, kernel_rows, variances
from evaluation.fidelity.kernel_pairs import across, prepare, within
from evaluation.fidelity.kernel_subsets import kernel_subsets, subset_estimate


def gaussian(seed, count, dim=8, *, shift=0.0):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64) + shift


def fidelity(real, fake, **options):
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    found = kid_features_to_metric(real, fake, verbose=False, **options)
    return found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]


def by_definition(real, fake):
    """The sums written out, pair by pair."""

    def k(x, y):
        return (float(x @ y) / len(x) + 1) ** 3

    n, m = len(real), len(fake)
    within_real = sum(k(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_fake = sum(k(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_real + within_fake - 2 * sum(k(x, y) for x in real for y in fake) / (n * m)


def test_it_equals_the_sum_over_all_pairs():
    real, fake = gaussian(0, 7, 3), gaussian(1, 5, 3, shift=0.5)
    assert kernel_distance(real, fake) == pytest.approx(by_definition(real, fake), rel=1e-12)


def test_it_equals_torch_fidelity_where_one_subset_is_the_whole():
    real, fake = gaussian(0, 300), gaussian(1, 300, shift=0.2)
    expected, _ = fidelity(real, fake, kid_subsets=1, kid_subset_size=300)
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_it_is_the_limit_of_the_mean_over_subsets():
    real, fake = gaussian(0, 1200), gaussian(1, 900, shift=0.3)
    average, spread = fidelity(real, fake, kid_subsets=100, kid_subset_size=300)
    assert kernel_distance(real, fake) == pytest.approx(average, abs=3 * spread / math.sqrt(100))


def test_tiles_change_nothing_but_rounding(monkeypatch):
    real, fake = gaussian(0, 50), gaussian(1, 43, shift=0.2)
    whole = kernel_estimate(real, fake)
    monkeypatch.setattr(kernel_pairs, "_TILE", 7)
    monkeypatch.setattr(kernel_pairs, "_SLAB", 5)
    assert kernel_estimate(real, fake) == pytest.approx(whole, rel=1e-9)


def matrix(first, second):
    return ((first @ second.T) / first.shape[1] + 1) ** 3


def test_one_pass_gives_the_sums_of_the_kernel_matrix(monkeypatch):
    monkeypatch.setattr(kernel_pairs, "_TILE", 4)
    first, second = gaussian(0, 11, 3, shift=2.0), gaussian(1, 9, 3)
    ready = prepare(first, second)
    found, whole = across(*ready), matrix(first, second)
    assert torch.allclose(found.rows, whole.sum(1))
    assert torch.allclose(found.columns, whole.sum(0))
    assert found.squares == pytest.approx(float(whole.square().sum()))
    alone = matrix(first, first).fill_diagonal_(0)
    assert torch.allclose(within(ready[0]).rows, alone.sum(1))
    assert within(ready[0]).squares == pytest.approx(float(alone.square().sum()))
    assert torch.allclose(ready[0].own, matrix(first, first).diagonal())


def test_float32_features_lose_nothing_that_matters_even_far_from_the_origin():
    """Products in float32 are taken about the centre, all else is float64."""
    real, fake = (gaussian(seed, 300, 64).float() + 40 for seed in (0, 1))
    exact = kernel_estimate(real.double(), fake.double())
    assert kernel_estimate(real, fake) == pytest.approx(exact, rel=1e-6)
    assert kernel_estimate(real.half(), fake.double()).value == pytest.approx(exact.value, rel=0.2)


def test_the_variance_is_that_of_fresh_samples():
    """Both parts of Hoeffding's decomposition, at the null and away, with unequal sizes."""
    for shift in (0.0, 0.3):
        found = []
        for trial in range(150):
            real, fake = gaussian(2 * trial, 60, 6), gaussian(2 * trial + 1, 40, 6, shift=shift)
            ready = prepare(real, fake)
            parts = variances(*ready, within(ready[0]), within(ready[1]), across(*ready))
            found.append((kernel_distance(real, fake), parts.first, parts.second))
        values = torch.tensor(found, dtype=torch.float64)
        assert float(values[:, 1:].sum(1).mean()) == pytest.approx(float(values[:, 0].var()), rel=0.3)
        if shift == 0:
            assert abs(values[:, 1].mean()) < 0.3 * values[:, 2].mean()


def test_it_is_unbiased_for_equal_distributions():
    values = [kernel_distance(gaussian(2 * trial, 40), gaussian(2 * trial + 1, 40)) for trial in range(100)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 10
    assert min(values) < 0


def true_distance(dim, shift):
    """For covariance I and a shift of every one of D coordinates the distance has a closed form.

    E k(x, y) = E (1 + x.y / D)^3 over independent x, y, from the moments of x.y.
    """

    def expected(mean_x, mean_y):
        first = dim * mean_x * mean_y
        variance = dim * (1 + mean_x**2 + mean_y**2)
        third = 6 * first + 3 * first * variance + first**3  # 6 first: the third central moment of x.y
        return 1 + 3 * first / dim + 3 * (variance + first**2) / dim**2 + third / dim**3

    return expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)


def coverage(dim, shift, num_real, num_fake, trials):
    truth = true_distance(dim, shift)
    hits = 0
    for trial in range(trials):
        real, fake = gaussian(2 * trial, num_real, dim), gaussian(2 * trial + 1, num_fake, dim, shift=shift)
        estimate = kernel_estimate(real, fake)
        assert estimate.low <= estimate.value <= estimate.high
        hits += estimate.low <= truth <= estimate.high
    return hits / trials


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_intervals_cover_the_true_distance_as_often_as_they_say(shift):
    assert coverage(6, shift, 60, 40, 100) >= 0.89


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("dim", "num_real", "num_fake"), [(6, 150, 80), (32, 80, 200)])
def test_intervals_cover_the_true_distance_at_the_null_and_away(dim, num_real, num_fake, shift):
    assert 0.92 <= coverage(dim, shift, num_real, num_fake, 400) <= 0.98


def test_three_samples_have_a_value_but_no_interval():
    estimate = kernel_estimate(gaussian(0, 3), gaussian(1, 30))
    assert math.isfinite(estimate.value)
    assert math.isnan(estimate.low)


def test_collapsed_features_have_an_interval_too():
    value, low, high = kernel_estimate(torch.ones(9, 4), torch.ones(7, 4))
    assert (value, low, high) == pytest.approx((0, 0, 0), abs=1e-6)


def test_subsets_are_torch_fidelitys():
    real, fake = gaussian(0, 400).float(), gaussian(1, 330, shift=0.2).float()
    expected = fidelity(real, fake, kid_subsets=20, kid_subset_size=100)
    values = kernel_subsets(real, fake, num_subsets=20, size=100)
    assert float(values.mean()) == pytest.approx(expected[0], rel=1e-6)
    assert float(values.std(correction=0)) == pytest.approx(expected[1], rel=1e-6)


def test_the_mean_over_subsets_adds_their_noise_to_the_interval():
    real, fake = gaussian(0, 200), gaussian(1, 150, shift=0.3)
    whole, many, few = (
        kernel_estimate(real, fake),
        subset_estimate(real, fake, num_subsets=200, size=100),
        subset_estimate(real, fake, num_subsets=4, size=100),
    )
    assert whole.high - whole.low < many.high - many.low < few.high - few.low
    assert many.value == pytest.approx(whole.value, abs=0.2 * (whole.high - whole.low))


def test_a_subset_larger_than_a_set_is_refused():
    with pytest.raises(ValueError, match="subsets of 1000: there are 5 images"):
        kernel_subsets(gaussian(0, 5), gaussian(0, 5))


@pytest.mark.parametrize(("extractor", "name"), [("inception", "kid"), ("cnn", "kid[cnn]")])
def test_its_row_is_named_after_the_features(extractor, name):
    real, fake = (
        Sample(features=Features(gaussian(seed, size), torch.ones(size, 1), extractor, "0"))
        for seed, size in ((0, 40), (1, 30))
    )
    seen = Seen(real=real, fake=fake)
    ((metric, estimate, samples, protocol),) = kernel_rows(seen, KERNEL_METRICS)
    assert (metric, samples) == (name, 30)
    assert estimate == kernel_estimate(real.features.values, fake.features.values)
    assert "interval" in protocol
    assert kernel_rows(seen, ["fid"]) == []


def test_mismatched_features_are_refused():
    with pytest.raises(ValueError, match="use one extractor"):
        kernel_distance(gaussian(0, 5, 3), gaussian(0, 5, 4))
