"""Sides and channels of networks whose feature maps double exactly, from a base of 4 to 7 pixels to the image."""

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

SMALLEST, LARGEST = 4, 7
"""Sides of the smallest maps."""
DEEPEST = 8
"""The most channels of a map, in multiples of the width."""


def doubles(size: int) -> bool:
    """Whether a side is a base of 4 to 7 times a power of two, such as 8, 16, 28, 32, 64 and 128."""
    while size > LARGEST and size % 2 == 0:
        size //= 2
    return SMALLEST <= size <= LARGEST


def resolutions(size: int) -> list[int]:
    """Sides of the maps from the base to the image: 28 to [7, 14, 28]."""
    assert doubles(size)
    found = [size]
    while found[0] > LARGEST:
        found.insert(0, found[0] // 2)
    return found


def depths(size: int, width: int, *, deepest: int = DEEPEST) -> list[int]:
    """Channels of these maps: `width` at the image, doubled at each level inwards, up to `deepest` times `width`."""
    return [width * min(size // side, deepest) for side in resolutions(size)]


def enlarge(images: Tensor, side: int) -> Tensor:
    """Repeat the pixels of (N, C, H, W) up to a side: nearest neighbour, exact."""
    return interpolate(images, size=(side, side), mode="nearest")


def shrink(images: Tensor, side: int) -> Tensor:
    """Average (N, C, H, W) down to a side by repeated 2x2 means, so that shrinking in two steps gives the same bits."""
    while images.shape[-1] > side:
        images = avg_pool2d(images, 2)
    return images
