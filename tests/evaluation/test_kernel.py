import math

import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation import kernel
from evaluation.kernel import kernel_distance, kernel_estimate


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


def test_chunks_and_groups_change_nothing_but_rounding(monkeypatch):
    real, fake = gaussian(0, 50), gaussian(1, 43, shift=0.2)
    whole = kernel_estimate(real, fake)
    monkeypatch.setattr(kernel, "_CHUNK", 7)
    assert kernel_estimate(real, fake) == pytest.approx(whole, rel=1e-10)
    assert kernel_estimate(real, fake, num_groups=3).value == pytest.approx(whole.value, rel=1e-10)


def test_replicates_are_the_distance_of_what_is_left():
    real, fake = gaussian(0, 20), gaussian(1, 16, shift=0.5)
    groups = [kernel.deal(20, 3, seed=5, stream=0), kernel.deal(16, 3, seed=5, stream=1)]
    left = [kernel_distance(real[groups[0] != group], fake[groups[1] != group]) for group in range(3)]
    expected = kernel.jackknife_interval(kernel_distance(real, fake), left)
    assert kernel_estimate(real, fake, seed=5, num_groups=3)[1:] == pytest.approx(expected, rel=1e-9)


def test_it_is_unbiased_for_equal_distributions():
    values = [kernel_distance(gaussian(2 * trial, 40), gaussian(2 * trial + 1, 40)) for trial in range(100)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 10
    assert min(values) < 0


def test_intervals_cover_the_true_distance():
    """For equal covariance I and a shift m in every one of D coordinates the distance has a closed form.

    E k(x, y) = E (1 + x.y / D)^3 over independent x, y, from the moments of x.y.
    """
    dim, shift = 4, 0.5

    def expected(mean_x, mean_y):
        a, b = mean_x * torch.ones(dim, dtype=torch.float64), mean_y * torch.ones(dim, dtype=torch.float64)
        first = a @ b
        variance = dim + a @ a + b @ b
        third_central = 6 * first  # of x.y for independent unit Gaussians about a and b
        second = variance + first**2
        third = third_central + 3 * first * variance + first**3
        return float(1 + 3 * first / dim + 3 * second / dim**2 + third / dim**3)

    truth = expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)
    hits = 0
    for trial in range(100):
        estimate = kernel_estimate(gaussian(2 * trial, 150, dim), gaussian(2 * trial + 1, 120, dim, shift=shift))
        hits += estimate.low <= truth <= estimate.high
    assert hits >= 88


def test_two_samples_have_a_value_but_no_interval():
    estimate = kernel_estimate(gaussian(0, 2), gaussian(1, 2))
    assert math.isfinite(estimate.value)
    assert math.isnan(estimate.low)


def test_mismatched_features_are_refused():
    with pytest.raises(ValueError, match="use one extractor"):
        kernel_distance(gaussian(0, 5, 3), gaussian(0, 5, 4))
