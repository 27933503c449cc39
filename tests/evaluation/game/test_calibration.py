"""Reliability, calibration error, Brier score, and the sums of absolute means that they and mode hopping rest on."""

import math

import pytest
import torch
from scipy import stats
from sklearn.metrics import brier_score_loss
from torch import Tensor

from attacks.random import normal, uniform
from evaluation.game.calibration import BINS, brier_score, calibration_error, reliability
from evaluation.statistics.absolute_sum import absolute_sum
from evaluation.statistics.welch import difference_of_means, sum_of_means


def gaussians(seed: int, real: int, fake: int, *, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits of the best discriminator of N(1.5, 1) and N(0, 1), which are log-odds, times a scale."""
    samples = (
        1.5 + normal(2 * seed, torch.arange(real), (), dtype=torch.float64),
        normal(2 * seed + 1, torch.arange(fake), (), dtype=torch.float64),
    )
    return scale * (1.5 * samples[0] - 1.125), scale * (1.5 * samples[1] - 1.125)


def test_log_odds_are_calibrated_up_to_the_floor_and_twice_as_large_ones_are_not() -> None:
    error = calibration_error(*gaussians(0, 20_000, 20_000))
    assert error.estimate.value == pytest.approx(error.floor, rel=0.5)
    assert error.floor < 0.007
    assert error.estimate.low < error.floor < error.estimate.high
    wrong = calibration_error(*gaussians(0, 20_000, 20_000, scale=2))
    assert wrong.estimate.low > 10 * error.floor


def test_the_floor_is_what_calibrated_logits_score_on_average() -> None:
    found = [calibration_error(*gaussians(seed, 200, 300)) for seed in range(60)]
    average = sum(one.estimate.value for one in found) / len(found)
    assert sum(one.floor for one in found) / len(found) == pytest.approx(average, rel=0.05)


def test_an_error_worked_out_by_hand() -> None:
    """Reals at 0.9 and 0.3, fakes at 0.9 and 0.1; at 0.9 both kinds are as frequent, so that bin is off by 0.4."""
    real, fake = torch.tensor([0.9, 0.3]).logit(), torch.tensor([0.9, 0.1]).logit()
    assert calibration_error(real, fake).estimate.value == pytest.approx(0.5 * 0.4 + 0.25 * 0.7 + 0.25 * 0.1)
    curve = reliability(real, fake)
    filled = curve.mass > 0
    assert curve.mass.sum() == pytest.approx(1)
    assert curve.confidence[filled].tolist() == pytest.approx([0.1, 0.3, 0.9], rel=1e-6)
    assert curve.real_share[filled].tolist() == pytest.approx([0, 1, 0.5])
    assert len(curve.mass) == BINS
    assert curve.real_share[~filled].isnan().all()


def test_unequal_numbers_of_real_and_fake_do_not_move_a_balanced_answer() -> None:
    half = torch.zeros(3), torch.zeros(300)
    assert calibration_error(*half).estimate.value == pytest.approx(0)
    assert brier_score(*half).value == pytest.approx(0.25)


def test_the_curve_and_the_error_agree() -> None:
    logits = gaussians(3, 400, 300, scale=1.7)
    curve = reliability(*logits)
    filled = curve.mass > 0
    expected = (curve.mass * (curve.confidence - curve.real_share).abs())[filled].sum()
    assert calibration_error(*logits).estimate.value == pytest.approx(float(expected))


def test_the_brier_score_is_scikit_learns() -> None:
    real, fake = gaussians(4, 300, 300)
    expected = brier_score_loss([1] * 300 + [0] * 300, torch.cat([real, fake]).sigmoid().numpy())
    assert brier_score(real, fake).value == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_intervals_cover_their_expectation(scale: float) -> None:
    """Nominal 95 %; over 400 sets and four sizes it was 93 to 97 %."""
    logits = [gaussians(seed, 200, 300, scale=scale) for seed in range(120)]
    errors = [calibration_error(*pair).estimate for pair in logits]
    scores = [brier_score(*pair) for pair in logits]
    for found in (errors, scores):
        truth = sum(one.value for one in found) / len(found)
        covered = sum(one.low <= truth <= one.high for one in found)
        assert 0.89 <= covered / len(found) <= 0.995


def test_one_absolute_mean_is_a_folded_normal() -> None:
    alone = absolute_sum(torch.tensor([0.02]), torch.tensor([[0.01]]))
    assert alone.floor == pytest.approx(0.1 * math.sqrt(2 / math.pi))
    folded = stats.foldnorm(0, scale=0.1)
    assert alone.estimate.high == pytest.approx(0.02 - folded.ppf(0.025) + folded.mean(), abs=0.005)
    assert alone.estimate.low == 0
    noisy = absolute_sum(torch.tensor([0.09]), torch.tensor([[0.01]]))  # no larger than its noise, so as good as 0
    assert noisy.estimate.high - 0.09 == pytest.approx(alone.estimate.high - 0.02)
    four = absolute_sum(torch.tensor([0.09, -0.09, 0.09, -0.09]), torch.eye(4) * 0.01).estimate
    sums = 0.1 * torch.randn(100_000, 4, generator=torch.Generator().manual_seed(0)).abs().sum(dim=1)
    lowest, highest = (torch.quantile(sums, torch.tensor([0.025, 0.975])) - sums.mean()).tolist()
    assert four == pytest.approx((0.36, 0.36 - highest, 0.36 - lowest), abs=0.01)
    sure = absolute_sum(torch.tensor([3.0, -4.0]), torch.eye(2) * 1e-6)
    assert sure.estimate.value == 7
    assert sure.estimate.high - 7 == pytest.approx(1.96 * math.sqrt(2e-6), rel=0.06)
    opposite = absolute_sum(torch.tensor([3.0, -3.0]), torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) * 1e-6)
    assert opposite.estimate.high - 6 == pytest.approx(2 * 1.96e-3, rel=0.06)


def test_differences_have_the_interval_of_welch() -> None:
    first, second = 1 + uniform(0, torch.arange(40), ()), 3 * uniform(1, torch.arange(25), ())
    found = difference_of_means(first, second)
    interval = stats.ttest_ind(first.numpy(), second.numpy(), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-4)
    assert sum_of_means(first, torch.zeros(9)).value == pytest.approx(float(first.mean()))
    assert math.isnan(sum_of_means(first, torch.zeros(1)).low)
    assert sum_of_means(torch.ones(3), torch.ones(4)) == (2, 2, 2)
