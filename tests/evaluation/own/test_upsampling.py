import pytest
import torch

from evaluation.own.upsampling import bicubic_control


@pytest.mark.parametrize("size", [8, 12, 28, 32])
def test_an_even_image_stays_and_detail_below_the_coarsest_side_is_lost(size: int) -> None:
    assert torch.allclose(bicubic_control(torch.full((2, 3, size, size), 0.25)), torch.tensor(0.25), atol=1e-6)
    stripes = (torch.arange(size) % 2).float().expand(1, 1, size, size)
    assert torch.allclose(bicubic_control(stripes), torch.tensor(0.5), atol=1e-6)


def test_a_ramp_is_continued_exactly_away_from_the_edges() -> None:
    """Means of pairs of a ramp are a ramp, and cubic interpolation is exact on it."""
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    found = bicubic_control(ramp)
    assert torch.allclose(found[..., 16:-16, 16:-16], ramp[..., 16:-16, 16:-16], atol=1e-5)


def test_one_pixel_spreads_as_its_mean_and_overshoot_is_cut() -> None:
    images = torch.zeros(1, 1, 32, 32)
    images[..., 12:16, 12:16] = 1
    found = bicubic_control(images)
    assert found.min() == 0
    assert found[0, 0, 12:16, 12:16].min() > 0.4
    assert found[0, 0, :, 25:].max() == 0, "two coarse pixels away"
