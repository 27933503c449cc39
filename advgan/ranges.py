"""Conversions between the value ranges of image tensors; nothing else in the project rescales pixels.

Stored images are uint8 in 0..255, images that cross a package border are float in [0, 1], and inside GAN code they are
`signed`: float in [-1, 1]. Points, (N, D, 1, 1), are stored as float32 in the unit range, and may leave it.
"""

import torch
from torch import Tensor


def to_unit(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert uint8 in 0..255 to float in [0, 1]; float input (stored points) is only cast."""
    if images.is_floating_point():
        return images.to(dtype)
    assert images.dtype == torch.uint8
    return images.to(dtype) / 255


def to_bytes(images: Tensor) -> Tensor:
    """Float in [0, 1] to uint8, rounded to the nearest level (truncation would darken every image by half a level)."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


def to_signed(images: Tensor) -> Tensor:
    """Float in [0, 1] to signed float in [-1, 1]."""
    return images * 2 - 1


def from_signed(signed: Tensor) -> Tensor:
    """Signed float in [-1, 1] to float in [0, 1]. What lies beyond is clipped, except points: (N, D, 1, 1)."""
    unit = (signed + 1) / 2
    return unit if signed.shape[-2:] == (1, 1) else unit.clamp(0, 1)
