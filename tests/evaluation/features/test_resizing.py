"""Each rule against an independent statement of its source's; the sources themselves gave the same pixels once."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from attacks.random import uniform
from evaluation.features.resizing import (
    SIDE,
    colour_bytes,
    grid_bilinear,
    pillow_bicubic,
    tensorflow_bilinear,
    torch_bilinear,
)

SHAPES = [(1, 1), (28, 28), (32, 32), (299, 299), (512, 384)]


def drawn(height: int, width: int) -> Tensor:
    return (uniform(0, torch.arange(2), (3, height, width)) * 256).to(torch.uint8)


def bilinear(images: Tensor, *, half_pixel: bool) -> Tensor:
    """Bilinear interpolation written out in float64: rows and columns are weighted by matrices."""

    def weights(length: int) -> Tensor:
        at = torch.arange(SIDE, dtype=torch.float64)
        at = ((at + 0.5) * length / SIDE - 0.5 if half_pixel else at * length / SIDE).clamp(0, length - 1)
        return (1 - (at[:, None] - torch.arange(length)).abs()).clamp(min=0)

    return weights(images.shape[2]) @ images.double() @ weights(images.shape[3]).T


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_tensorflow_bilinear_reads_without_a_half_pixel(height: int, width: int) -> None:
    images = drawn(height, width)
    expected = bilinear(images, half_pixel=False)
    torch.testing.assert_close(tensorflow_bilinear(images).double(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_torch_bilinear_is_pytorch_fids_call(height: int, width: int) -> None:
    images = drawn(height, width)
    resized = torch_bilinear(images)
    divided = torch.from_numpy(images.numpy().astype(np.float32) / np.float32(255))
    assert torch.equal(resized, F.interpolate(divided, size=(299, 299), mode="bilinear", align_corners=False))
    torch.testing.assert_close(resized.double() * 255, bilinear(images, half_pixel=True), rtol=0, atol=0.01)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_pillow_bicubic_is_clean_fids_loop(height: int, width: int) -> None:
    images = drawn(height, width)
    for image, resized in zip(images, pillow_bicubic(images), strict=True):
        for channel, found in zip(image, resized, strict=True):
            floats = Image.fromarray(channel.numpy().astype("float32"))
            expected = np.clip(np.asarray(floats.resize((299, 299), resample=Image.Resampling.BICUBIC)), 0, 255)
            assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_grid_bilinear_is_the_detectors_and_tensorflows_but_for_rounding(height: int, width: int) -> None:
    images = drawn(height, width)
    theta = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    theta[:, 2] = torch.tensor([1.0, 1.0]) / torch.tensor([width, height]) - torch.tensor([1.0, 1.0]) / 299
    grid = F.affine_grid(theta[None].repeat(2, 1, 1), [2, 3, 299, 299], align_corners=False)
    expected = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    assert torch.equal(grid_bilinear(images), expected)
    torch.testing.assert_close(grid_bilinear(images), tensorflow_bilinear(images), rtol=0, atol=0.02)


def test_the_rules_differ_by_more_than_rounding() -> None:
    """A gradient of one level a pixel shifts by 0.446 pixels of the image between the two bilinear grids."""
    ramp = torch.arange(32, dtype=torch.uint8).expand(1, 3, 32, 32)
    shift = (tensorflow_bilinear(ramp) - torch_bilinear(ramp) * 255)[..., 20:-20]
    torch.testing.assert_close(shift, torch.full_like(shift, (1 - 32 / 299) / 2), rtol=0, atol=1e-4)
    shrunk = torch.arange(600).remainder(2).mul(255).to(torch.uint8).expand(1, 3, 600, 600)
    assert float(pillow_bicubic(shrunk).std()) < 0.1 * float(torch_bilinear(shrunk).std() * 255)  # it averages stripes


def test_grey_images_become_colour_and_others_are_refused() -> None:
    assert colour_bytes(torch.full((1, 1, 2, 2), 0.5)).tolist() == torch.full((1, 3, 2, 2), 128).tolist()
    with pytest.raises(ValueError, match="not at 4 channels"):
        colour_bytes(torch.rand(1, 4, 2, 2))
