import math

import pytest
import torch
from torch import Tensor

from attacks.random import seeded
from evaluation.statistics.histograms import (
    equal_shares_estimate,
    forward_divergence,
    forward_estimate,
    reverse_divergence,
    reverse_estimate,
    variation,
    variation_estimate,
)

EVEN = torch.full((10,), 0.1, dtype=torch.float64)
UNEVEN = 1 / (1 + torch.arange(10, dtype=torch.float64))
TILTED = 1 + 0.6 * torch.linspace(-1, 1, 10, dtype=torch.float64)
SLIGHTLY = 1 + 0.2 * torch.linspace(-1, 1, 10, dtype=torch.float64)
HALF = torch.cat([EVEN[:5], torch.zeros(5, dtype=torch.float64)])
ONE_MISSING = torch.cat([EVEN[:9], torch.zeros(1, dtype=torch.float64)])


def drawn(shares: Tensor, count: int, trials: int, seed: int) -> Tensor:
    """Histograms of `count` draws: (trials, C)."""
    with seeded(seed):
        picks = torch.multinomial(shares.expand(trials, -1), count, replacement=True)
    return torch.stack([row.bincount(minlength=len(shares)) for row in picks])


def test_closed_forms() -> None:
    real, fake = torch.tensor([3, 1]), torch.tensor([1, 1])
    assert float(reverse_divergence(real, fake)) == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))
    expected = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)
    assert float(forward_divergence(real, fake)) == pytest.approx(expected)
    assert float(variation(real, fake)) == 0.25
    assert equal_shares_estimate(torch.tensor([5, 5, 0, 0])).estimate.value == pytest.approx(math.log(2))
    for same in (reverse_divergence, forward_divergence, variation):
        assert float(same(real, real)) == 0


def test_they_are_the_same_in_batches() -> None:
    real, fake = drawn(EVEN, 50, 6, 0), drawn(UNEVEN, 40, 6, 1)
    for statistic in (reverse_divergence, forward_divergence, variation):
        assert statistic(real, fake).tolist() == [float(statistic(*pair)) for pair in zip(real, fake, strict=True)]


def test_a_missing_class_leaves_the_forward_divergence_finite_and_a_new_one_makes_the_reverse_infinite() -> None:
    real, fake = torch.tensor([50, 50, 0]), torch.tensor([60, 0, 40])
    assert reverse_estimate(real, fake).estimate.value == math.inf
    assert math.isnan(reverse_estimate(real, fake).estimate.low)
    found = forward_estimate(real, fake).estimate
    assert 1 < found.low < found.value < found.high < math.inf


def test_no_interval_where_the_divergence_would_often_be_infinite_by_chance() -> None:
    counts = torch.full((50,), 3)
    assert math.isnan(reverse_estimate(counts, counts).estimate.low)
    assert math.isfinite(forward_estimate(counts, counts).estimate.low)


@pytest.mark.parametrize("estimate", [reverse_estimate, forward_estimate, variation_estimate])
def test_the_null_is_what_a_perfect_generator_scores(estimate) -> None:  # type: ignore[no-untyped-def]
    reals, fakes = drawn(UNEVEN, 300, 200, 2), drawn(UNEVEN, 200, 200, 3)
    found = [estimate(real, fake, seed=seed) for seed, (real, fake) in enumerate(zip(reals, fakes, strict=True))]
    average = sum(one.estimate.value for one in found) / 200
    assert sum(one.null for one in found) / 200 == pytest.approx(average, rel=0.1)
    if estimate is not variation_estimate:
        assert average == pytest.approx(9 * (1 / 300 + 1 / 200) / 2, rel=0.15)


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone() -> None:
    real, fake = drawn(EVEN, 80, 1, 4)[0], drawn(UNEVEN, 70, 1, 5)[0]
    state = torch.get_rng_state()
    assert variation_estimate(real, fake, seed=1) == variation_estimate(real, fake, seed=1)
    assert variation_estimate(real, fake, seed=1).null != variation_estimate(real, fake, seed=2).null
    assert torch.equal(state, torch.get_rng_state())


def test_intervals_hold_the_value_and_stay_in_its_range() -> None:
    for fakes in (EVEN, UNEVEN, HALF):
        real, fake = drawn(EVEN, 100, 1, 6)[0], drawn(fakes, 30, 1, 7)[0]
        for estimate in (reverse_estimate, forward_estimate, variation_estimate):
            value, low, high = estimate(real, fake).estimate
            assert 0 <= low <= value <= high
        assert variation_estimate(real, fake).estimate.high <= 1
        value, low, high = equal_shares_estimate(fake).estimate
        assert 0 <= low <= value <= high <= math.log(10)


def test_total_variation_far_from_the_null_is_as_noisy_as_a_share() -> None:
    """Half of the reals are of classes without a fake; that share alone is uncertain, at sqrt(0.25 / 400)."""
    value, low, high = variation_estimate(torch.tensor([100] * 4), torch.tensor([200, 200, 0, 0])).estimate
    assert (value, value - low, high - value) == pytest.approx((0.5, 1.959964 * 0.025, 1.959964 * 0.025))


def test_an_empty_histogram_has_no_divergence() -> None:
    empty, full = torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)
    for estimate in (reverse_estimate, forward_estimate, variation_estimate):
        assert math.isnan(estimate(full, empty).estimate.value)
    assert math.isnan(equal_shares_estimate(empty).estimate.value)


def coverage(estimate, statistic, fakes: Tensor, sizes: tuple[int, int], trials: int) -> float:  # type: ignore[no-untyped-def]
    """How often the interval holds the expectation at these sizes, itself the mean of ten times as many trials."""
    truth = float(statistic(drawn(EVEN, sizes[0], 10 * trials, 8), drawn(fakes, sizes[1], 10 * trials, 9)).mean())
    hits = 0
    for trial, (real, fake) in enumerate(
        zip(drawn(EVEN, sizes[0], trials, 10), drawn(fakes, sizes[1], trials, 11), strict=True)
    ):
        found = estimate(real, fake, seed=trial).estimate
        hits += found.low <= truth <= found.high
    return hits / trials


DIVERGENCES = [
    (reverse_estimate, reverse_divergence),
    (forward_estimate, forward_divergence),
    (variation_estimate, variation),
]


@pytest.mark.parametrize(("estimate", "statistic"), DIVERGENCES)
@pytest.mark.parametrize("fakes", [EVEN, TILTED])
def test_intervals_cover_the_expectation_as_often_as_they_say(estimate, statistic, fakes) -> None:  # type: ignore[no-untyped-def]
    assert coverage(estimate, statistic, fakes, (200, 120), 100) >= 0.89


@pytest.mark.slow
@pytest.mark.parametrize(("estimate", "statistic"), DIVERGENCES)
@pytest.mark.parametrize("fakes", [EVEN, SLIGHTLY, TILTED, HALF, ONE_MISSING])
@pytest.mark.parametrize("sizes", [(150, 80), (500, 300), (2000, 800)])
def test_coverage_at_the_null_and_away(estimate, statistic, fakes, sizes) -> None:  # type: ignore[no-untyped-def]
    """Total variation with one missing class is the exception, where the interval is wider than it need be."""
    most = 1.0 if fakes is ONE_MISSING else 0.985
    assert 0.915 <= coverage(estimate, statistic, fakes, sizes, 400) <= most


@pytest.mark.slow
@pytest.mark.parametrize("fakes", [EVEN, SLIGHTLY, TILTED, UNEVEN])
def test_coverage_of_the_divergence_from_equal_shares(fakes) -> None:  # type: ignore[no-untyped-def]
    def estimate(real: Tensor, fake: Tensor, seed: int):  # type: ignore[no-untyped-def]
        return equal_shares_estimate(fake, seed=seed)

    def statistic(real: Tensor, fake: Tensor) -> Tensor:
        shares = fake.double() / fake.sum(dim=-1, keepdim=True)
        return torch.xlogy(shares, 10 * shares).sum(dim=-1)

    assert 0.915 <= coverage(estimate, statistic, fakes, (10, 200), 400) <= 0.985
