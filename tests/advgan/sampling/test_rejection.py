import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from advgan.sampling.rejection import Rejection, fit_rejection, keep, reject
from attacks.random import normal
from evaluation.statistics.intervals import wilson

SIGMA = 0.5
LARGEST = -math.log(SIGMA)
"""log max p/q of N(0, SIGMA) over N(0, 1), taken at 0."""


def draw(indices: Tensor) -> Tensor:
    """The generator: N(0, 1)."""
    return normal(0, indices, (), dtype=torch.float64)


def log_ratio(values: Tensor) -> Tensor:
    """Of the real N(0, SIGMA) over the generated N(0, 1): what the best discriminator says."""
    return LARGEST - values.square() * (SIGMA**-2 - 1) / 2


def run(seed: int = 0, *, wanted: int = 2000, block: int = 64, shift: float = 0.0, most: int = 10**6) -> Tensor:
    rejection = Rejection(LARGEST, shift)
    judge = lambda indices: log_ratio(draw(indices))  # noqa: E731
    return reject(judge, rejection, wanted=wanted, seed=seed, block=block, most=most).indices


def test_kept_samples_follow_the_real_distribution() -> None:
    values = draw(run()).numpy()
    assert stats.kstest(values, stats.norm(0, SIGMA).cdf).pvalue > 0.01
    assert stats.kstest(draw(torch.arange(2000)).numpy(), stats.norm(0, SIGMA).cdf).pvalue < 1e-9


def test_the_acceptance_rate_is_one_over_the_largest_ratio() -> None:
    judge = lambda indices: log_ratio(draw(indices))  # noqa: E731
    kept = reject(judge, Rejection(LARGEST, 0.0), wanted=4000, seed=0, block=64, most=10**6)
    low, high = wilson(kept.accepted, kept.drawn)
    assert low < SIGMA < high
    assert high - low < 0.03


def test_without_shift_the_probability_is_the_ratio_over_the_largest() -> None:
    logits = torch.tensor([-30.0, -2.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(Rejection(1.0, 0.0).probability(logits), (logits - 1).exp())
    assert Rejection(1.0, 0.0).probability(torch.tensor([5.0])).item() == 1


def test_the_shift_is_subtracted_from_the_log_odds() -> None:
    logits = torch.tensor([-3.0, -0.5], dtype=torch.float64)
    plain, shifted = (Rejection(0.0, shift).probability(logits) for shift in (0.0, 1.5))
    torch.testing.assert_close(shifted.logit(), plain.logit() - 1.5)


@pytest.mark.parametrize("percentile", [20.0, 80.0])
def test_that_share_of_the_burn_in_is_kept_with_less_than_a_half(percentile: float) -> None:
    logits = log_ratio(draw(torch.arange(5000)))
    rejection = fit_rejection(logits, percentile=percentile)
    below = (rejection.probability(logits) < 0.5).double().mean().item()
    assert below == pytest.approx(percentile / 100, abs=1e-3)
    assert rejection.largest == logits.max()


def test_no_percentile_is_no_shift() -> None:
    assert fit_rejection(torch.tensor([0.5, 2.0, 1.0])) == Rejection(2.0, 0.0)


def test_equal_logits_are_all_kept_alike() -> None:
    """A discriminator that cannot tell anything rejects nothing."""
    flat = torch.zeros(100)
    assert keep(flat, torch.arange(100), fit_rejection(flat), seed=0).all()


def test_what_is_kept_depends_on_seed_and_index_alone() -> None:
    assert torch.equal(run(block=64), run(block=1000))
    assert torch.equal(run(wanted=100), run()[:100])
    assert not torch.equal(run(1), run(0))
    some = torch.tensor([40, 7, 300])
    logits = log_ratio(draw(torch.arange(400)))
    rejection = Rejection(LARGEST, 0.0)
    whole = keep(logits, torch.arange(400), rejection, seed=3)
    assert torch.equal(keep(logits[some], some, rejection, seed=3), whole[some])


def test_the_coins_are_independent_of_the_latents() -> None:
    """A stream shared with the noise would keep by the value itself."""
    indices = torch.arange(20_000)
    kept = keep(torch.full((20_000,), -math.log(2.0)), indices, Rejection(0.0, 0.0), seed=0)
    assert abs(float(draw(indices)[kept].mean())) < 0.04


def test_a_search_without_end_stops_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="of 128 samples were kept, 2,000 are wanted; lower --reject-percentile"):
        run(most=100)
