"""The Laplacian pyramid of images (Burt and Adelson, 1983): a coarse image, and the residual of each doubling."""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

COARSEST = 8
"""The largest side at which a pyramid ends."""


class Level(NamedTuple):
    """One doubling: images are `coarse + residual`, both (N, C, side, side)."""

    coarse: Tensor
    """The images of the level below, enlarged."""
    residual: Tensor


def pyramid_sides(size: int) -> list[int]:
    """Sides from the coarsest up to the image, each half of the next, rounded up; at least two.

    28 gives 7, 14, 28 and 32 gives 8, 16, 32; the coarsest is 8 or less, and 4 or more for images of 7 and more.
    """
    found = [size, (size + 1) // 2]
    while found[-1] > COARSEST:
        found.append((found[-1] + 1) // 2)
    return found[::-1]


def shrink(images: Tensor) -> Tensor:
    """Take the mean of each 2x2; of a last odd row or column the mean of what is there."""
    return avg_pool2d(images, 2, ceil_mode=True)


def enlarge(images: Tensor, side: int) -> Tensor:
    """Interpolate bilinearly to a side, without the blocky edges of nearest neighbour."""
    return interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def decompose(images: Tensor) -> tuple[Tensor, list[Level]]:
    """Take images (N, C, H, H) apart: the coarsest ones, and the levels from there up. `reconstruct` undoes it."""
    levels = []
    for side in pyramid_sides(images.shape[-1])[:0:-1]:
        smaller = shrink(images)
        coarse = enlarge(smaller, side)
        levels.append(Level(coarse, images - coarse))
        images = smaller
    return images, levels[::-1]


def reconstruct(coarsest: Tensor, residuals: list[Tensor]) -> Tensor:
    """Put images together from the coarsest up: exact, up to the rounding of a sum for each level."""
    images = coarsest
    for residual in residuals:
        images = enlarge(images, residual.shape[-1]) + residual
    return images
