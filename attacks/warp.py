"""Rotate, shift, zoom or displace images by bilinear resampling, each sample by its own amounts."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Padding = Literal["zeros", "border", "reflection"]
"""What lies outside an image: black, its outermost pixels, or the image mirrored."""
PADDINGS: tuple[Padding, ...] = ("zeros", "border", "reflection")


def warp(
    images: Tensor,
    *,
    degrees: Tensor | float = 0.0,
    down: Tensor | float = 0.0,
    right: Tensor | float = 0.0,
    zoom: Tensor | float = 1.0,
    padding: Padding = "zeros",
) -> Tensor:
    """Zoom and rotate images (N, C, H, W) about their centres, then shift them, with bilinear interpolation.

    Each amount is a number or has one entry a sample: `degrees` counter-clockwise, `down` and `right` in pixels (the
    picture moves there), `zoom` above 1 enlarges. Pixels are square, so an image that is not rotates without shear.
    Differentiable in the images and in every amount.
    """
    rows, columns = centred(images)
    angle = torch.deg2rad(_column(degrees, images))
    y, x = rows - _column(down, images), columns - _column(right, images)
    scale = _column(zoom, images)
    source_y = (torch.cos(angle) * y + torch.sin(angle) * x) / scale
    source_x = (torch.cos(angle) * x - torch.sin(angle) * y) / scale
    return sampled(images, source_y, source_x, padding=padding)


def displaced(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Read each output pixel from the place `down` and `right` of it, (N, H, W) in pixels; mirrors at the border."""
    rows, columns = centred(images)
    return sampled(images, rows + down, columns + right, padding="reflection")


def sampled(images: Tensor, y: Tensor, x: Tensor, *, padding: Padding) -> Tensor:
    """Read images (N, C, H, W) at places (N, H', W'), in pixels from their centres, bilinearly: (N, C, H', W')."""
    height, width = images.shape[-2:]
    grid = torch.stack([x * (2 / width), y * (2 / height)], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def centred(images: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates of pixels, counted from the centre of the image: (1, H, 1) rows and (1, 1, W) columns."""
    height, width = images.shape[-2:]
    rows = torch.arange(height, dtype=images.dtype, device=images.device) - (height - 1) / 2
    columns = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    return rows.reshape(1, -1, 1), columns.reshape(1, 1, -1)


def _column(amount: Tensor | float, images: Tensor) -> Tensor:
    values = torch.as_tensor(amount, dtype=images.dtype, device=images.device)
    return values.expand(len(images)).reshape(-1, 1, 1)
