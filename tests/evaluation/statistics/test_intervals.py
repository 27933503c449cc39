import math

import pytest
import torch
from scipy import stats

from attacks.random import normal, uniform
from evaluation.statistics.intervals import (
    bootstrap_mean,
    deal,
    jackknife,
    jackknife_interval,
    mean,
    rate,
    wilson,
    wilson_at,
)


def test_wilson_equals_its_closed_form():
    low, high = wilson(17, 40)
    z, p, n = stats.norm.ppf(0.975), 17 / 40, 40
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    margin = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (low, high) == pytest.approx((centre - margin, centre + margin), abs=1e-12)


@pytest.mark.parametrize(("successes", "count"), [(0, 7), (3, 10), (480, 500), (4, 4)])
def test_of_a_whole_number_of_samples_both_wilson_intervals_are_one(successes, count):
    assert wilson_at(successes / count, count) == pytest.approx(wilson(successes, count), abs=1e-12)


def test_wilson_at_the_ends_stays_in_the_unit_interval_and_is_not_empty():
    assert wilson(0, 10) == pytest.approx((0, 0.2775327998628893))
    assert wilson(10, 10) == pytest.approx((0.7224672001371107, 1))


def test_nothing_counted_has_no_rate():
    assert all(math.isnan(number) for number in rate(torch.zeros(0, dtype=torch.bool)))


def test_a_rate_counts_the_true_flags():
    estimate = rate(torch.tensor([True, True, False, True]))
    assert estimate.value == 0.75
    assert (estimate.low, estimate.high) == wilson(3, 4)


def test_the_mean_has_the_t_interval_of_scipy():
    values = normal(0, torch.arange(30), ())
    expected = stats.ttest_1samp(values.double().numpy(), 0).confidence_interval()
    assert mean(values) == pytest.approx((values.double().mean().item(), expected.low, expected.high))


def test_the_bootstrap_of_a_mean_agrees_with_t_and_stays_in_the_range_of_the_values():
    values = uniform(1, torch.arange(400), ())
    assert bootstrap_mean(values, seed=3) == pytest.approx(mean(values), abs=0.005)
    skewed = torch.tensor([1.0] * 9 + [0.5])
    assert mean(skewed).high > 1
    assert bootstrap_mean(skewed).high <= 1


def test_the_bootstrap_depends_on_its_seed_alone():
    values = normal(0, torch.arange(20), ())
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_equal_values_have_an_interval_of_no_width():
    assert bootstrap_mean(torch.full((5,), 0.25)) == (0.25, 0.25, 0.25)
    assert mean(torch.full((5,), 0.25)) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("estimate", [mean, bootstrap_mean])
def test_one_value_has_a_mean_but_no_interval(estimate):
    value, low, high = estimate(torch.tensor([0.5]))
    assert value == 0.5
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_jackknife_of_a_mean_with_one_row_a_group_is_the_t_interval():
    values = normal(0, torch.arange(25), ())
    estimate = jackknife(lambda sample: float(sample.double().mean()), values, num_groups=25)
    assert estimate == pytest.approx(mean(values), abs=1e-9)


def test_the_jackknife_of_a_difference_adds_both_variances():
    first, second = normal(0, torch.arange(4000), ()), 3 * normal(1, torch.arange(1000), ())
    gaps = jackknife(lambda a, b: float(a.mean() - b.mean()), first, second, num_groups=100)
    width = 2 * 1.984 * math.sqrt(1 / 4000 + 9 / 1000)
    assert gaps.high - gaps.low == pytest.approx(width, rel=0.2)


def test_jackknife_intervals_of_a_smooth_statistic_cover_the_truth_as_often_as_they_say():
    def log_ratio(a, b):
        return float((a.mean() / b.mean()).log())

    hits = 0
    for trial in range(200):
        a, b = 2 * uniform(trial, torch.arange(90), (), stream=0), uniform(trial, torch.arange(70), (), stream=1)
        estimate = jackknife(log_ratio, a, b)
        hits += estimate.low <= math.log(2) <= estimate.high
    assert 0.90 <= hits / 200 <= 0.985


def test_a_single_replicate_gives_no_interval():
    assert all(math.isnan(end) for end in jackknife_interval(1.0, [1.0]))


def test_groups_are_equal_random_and_fixed_by_the_seed():
    groups = deal(23, 5, seed=7)
    assert sorted(groups.bincount().tolist()) == [4, 4, 5, 5, 5]
    assert torch.equal(groups, deal(23, 5, seed=7))
    assert not torch.equal(groups, deal(23, 5, seed=8))
    assert not torch.equal(groups, deal(23, 5, seed=7, stream=1))
