"""The Wasserstein estimate of a critic of known slope, and how steep critics are."""

import math

import pytest
import torch
from torch import Tensor, nn

from attacks.random import normal, uniform
from evaluation.game.wasserstein import over_slope, slopes_between, steepness, wasserstein_estimate


class Slanted(nn.Module):
    """slope * (the first pixel), which leaves no other direction steep; in train mode it refuses."""

    num_classes = 0

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        assert not self.training
        return self.weight * images.flatten(1)[:, 0]


class Bowl(Slanted):
    """|x|^2 / 2, whose gradient norm is |x|."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.weight * images.flatten(1).square().sum(dim=1) / 2


@pytest.mark.parametrize("slope", [0.25, 1.0, 30.0])
def test_a_shift_under_a_linear_critic_is_found_in_units_of_the_images(slope: float) -> None:
    """Two sets a distance of 0.7 apart along the first pixel: the Wasserstein distance is 0.7 at any slope."""
    critic = Slanted(slope).train()
    images = normal(0, torch.arange(500), (1, 2, 2))
    moved = images.clone()
    moved[:, 0, 0, 0] += 0.7
    norms = slopes_between(critic, moved, images, None, seed=0)  # type: ignore[arg-type]
    assert critic.training
    assert norms.tolist() == pytest.approx([slope] * 500)
    critic.eval()
    estimate = wasserstein_estimate(critic(moved).detach(), critic(images).detach())
    assert estimate.value == pytest.approx(0.7 * slope, rel=1e-4)
    scaled = over_slope(estimate, steepness(norms).largest)
    assert scaled.value == pytest.approx(0.7, rel=1e-4)
    assert scaled.high - scaled.low == pytest.approx((estimate.high - estimate.low) / slope)


def test_slopes_are_taken_at_a_point_of_the_line_between_each_pair() -> None:
    real, fake = torch.ones(400, 1, 1, 1), torch.zeros(400, 1, 1, 1)
    norms = slopes_between(Bowl(1.0), real, fake, None, seed=3, batch_size=64)  # type: ignore[arg-type]
    assert len(norms) == 400
    assert float(norms.min()) > 0
    assert float(norms.max()) < 1
    assert float(norms.mean()) == pytest.approx(0.5, abs=0.05)
    again = slopes_between(Bowl(1.0), real[:9], fake, None, seed=3)  # type: ignore[arg-type]
    assert torch.equal(again, norms[:9])


def test_a_flat_critic_has_no_unit() -> None:
    assert math.isnan(over_slope(wasserstein_estimate(torch.ones(5), torch.zeros(5)), 0.0).value)


def test_the_percentile_is_covered_as_often_as_it_says() -> None:
    """Uniform norms have the 95th percentile 0.95."""
    found = [steepness(uniform(seed, torch.arange(256), ())).percentile for seed in range(200)]
    assert 0.9 <= sum(one.low <= 0.95 <= one.high for one in found) / 200 <= 0.99
    few = steepness(uniform(0, torch.arange(20), ()))
    assert math.isnan(few.percentile.low)
    assert few.percentile.value <= few.largest
