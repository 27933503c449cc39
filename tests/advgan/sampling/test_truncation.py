import pytest
import torch
from scipy import stats

from advgan.models.latents import LatentSpace
from advgan.sampling.truncation import truncate, truncate_latents
from attacks.random import normal

VALUES = normal(0, torch.arange(4000), (5,))


@pytest.mark.parametrize("threshold", [0.04, 0.5, 1.0, 2.0])
def test_truncated_values_have_the_law_of_redrawing(threshold: float) -> None:
    values = truncate(VALUES, threshold).double().flatten().numpy()
    assert abs(values).max() <= threshold
    assert stats.kstest(values, stats.truncnorm(-threshold, threshold).cdf).pvalue > 0.01


@pytest.mark.parametrize("threshold", [0.3, 1.5])
def test_a_quantile_goes_to_the_same_quantile(threshold: float) -> None:
    grid = torch.linspace(-5, 5, 101, dtype=torch.float64)
    expected = stats.truncnorm.ppf(stats.norm.cdf(grid.numpy()), -threshold, threshold)
    torch.testing.assert_close(truncate(grid, threshold), torch.from_numpy(expected), atol=1e-9, rtol=0)


def test_a_far_threshold_changes_nothing() -> None:
    torch.testing.assert_close(truncate(VALUES, 9.0), VALUES, atol=1e-5, rtol=0)


def test_no_value_leaves_the_interval_even_in_the_far_tail() -> None:
    assert truncate(torch.tensor([-40.0, 40.0]), 0.7).tolist() == pytest.approx([-0.7, 0.7])


def test_codes_are_no_noise_and_stay() -> None:
    space = LatentSpace(noise_dim=6, categorical=3, continuous=2)
    latents = space.draw(0, torch.arange(50))
    cut = truncate_latents(latents, space, 0.5)
    assert torch.equal(cut[:, :5], latents[:, :5])
    assert torch.equal(cut[:, 5:], truncate(latents[:, 5:], 0.5))


@pytest.mark.parametrize("kind", ["uniform", "sphere"])
def test_latents_without_tails_are_refused(kind: str) -> None:
    space = LatentSpace(noise_dim=3, kind=kind)
    with pytest.raises(ValueError, match=f"{kind} latents have no tails to cut; leave it out"):
        truncate_latents(space.draw(0, torch.arange(2)), space, 1.0)


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_a_threshold_must_be_positive(threshold: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        truncate_latents(VALUES, LatentSpace(noise_dim=5), threshold)
