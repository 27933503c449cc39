import pytest
import torch
from torch.nn.functional import interpolate

from advgan.models.layers.pyramid import decompose, enlarge, pyramid_sides, reconstruct, shrink
from attacks.random import uniform

SIZES = [8, 9, 12, 16, 27, 28, 32, 33, 64, 128]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (8, [4, 8]),
        (9, [5, 9]),
        (16, [8, 16]),
        (27, [7, 14, 27]),
        (28, [7, 14, 28]),
        (32, [8, 16, 32]),
        (64, [8, 16, 32, 64]),
        (128, [8, 16, 32, 64, 128]),
    ],
)
def test_sides_double_from_a_coarsest_of_four_to_eight(size: int, expected: list[int]) -> None:
    assert pyramid_sides(size) == expected
    assert all(4 <= pyramid_sides(side)[0] <= 8 for side in range(8, 129))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_pyramid_reconstructs_its_images(size: int, channels: int) -> None:
    images = uniform(1, torch.arange(3), (channels, size, size)) * 2 - 1
    coarsest, levels = decompose(images)
    assert [coarsest.shape[-1], *(level.residual.shape[-1] for level in levels)] == pyramid_sides(size)
    torch.testing.assert_close(reconstruct(coarsest, [level.residual for level in levels]), images, rtol=0, atol=1e-6)


def test_every_level_is_the_mean_of_squares_of_the_image() -> None:
    images = uniform(1, torch.arange(2), (3, 32, 32), dtype=torch.float64)
    coarsest, levels = decompose(images)
    torch.testing.assert_close(coarsest, images.unflatten(3, (8, 4)).unflatten(2, (8, 4)).mean(dim=(3, 5)))
    halved = images.unflatten(3, (16, 2)).unflatten(2, (16, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(levels[0].coarse + levels[0].residual, halved)
    torch.testing.assert_close(levels[0].coarse, interpolate(coarsest, scale_factor=2, mode="bilinear"))


def test_the_last_odd_row_is_the_mean_of_what_is_there() -> None:
    shrunk = shrink(torch.arange(9.0).view(1, 1, 3, 3))
    assert shrunk.flatten().tolist() == [2, 3.5, 6.5, 8]


@pytest.mark.parametrize("size", SIZES)
def test_a_flat_image_has_no_residual(size: int) -> None:
    coarsest, levels = decompose(torch.full((1, 1, size, size), 0.5))
    assert (coarsest == 0.5).all()
    assert all(level.residual.abs().max() < 1e-6 for level in levels)


def test_residuals_of_natural_scenes_are_smaller_than_the_image() -> None:
    """A smooth ramp lies in the coarse image but for its edge, noise in the residuals."""
    ramp = torch.linspace(-1, 1, 16).expand(1, 1, 16, 16)
    residual = decompose(ramp)[1][-1].residual
    assert residual[..., 1:-1].abs().max() < 1e-6
    assert residual.abs().max() < 0.1
    assert enlarge(ramp, 32).shape == (1, 1, 32, 32)
