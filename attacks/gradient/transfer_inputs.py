"""Linear maps of images along their rows and columns: what transfer attacks do to inputs, and to gradients.

A map is a pair of matrices, (N or 1, 1, H, H) and (N or 1, 1, W, W). Being linear, its backward pass is its transpose,
so only the network's gradient at the mapped images needs autograd.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from attacks import random


class LinearMap(NamedTuple):
    """One matrix for the rows of an image and one for its columns; all channels alike."""

    rows: Tensor
    columns: Tensor

    def apply(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return self.rows @ images @ self.columns.mT

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Turn the gradient at the mapped images into that at the images (the transposed map)."""
        return self.rows.mT @ gradient @ self.columns


def resize_and_pad(
    images: Tensor, *, probability: float, smallest: float, seed: int, indices: Tensor, stream: int
) -> LinearMap:
    """Shrink each image, with that probability, and pad it with black to its old size (DI: Xie et al., 2019).

    The new side is uniform from `smallest` of the old one up to below it, the position uniform over all that fit;
    resizing is bilinear. All four draws of a sample depend on (seed, index, stream) alone.
    """
    chance, size, top, left = random.uniform(seed, indices, (4,), stream=stream, dtype=images.dtype).unbind(dim=1)
    height, width = images.shape[-2:]
    chosen = chance < probability
    return LinearMap(
        _placed(height, chosen, size, top, smallest=smallest), _placed(width, chosen, size, left, smallest=smallest)
    )


def _placed(side: int, chosen: Tensor, size: Tensor, place: Tensor, *, smallest: float) -> Tensor:
    """Map (N,) draws in (0, 1) to (N, 1, side, side) matrices that resize and pad one axis; identity if not chosen."""
    low = max(int(smallest * side), 1)
    length = torch.where(chosen, low + (size * (side - low)).floor(), side)[:, None]
    start = (place[:, None] * (side - length + 1)).floor()
    target = torch.arange(side, dtype=size.dtype, device=size.device)
    source = ((target - start + 0.5) * side / length - 0.5).clamp(0, side - 1)
    weights = (1 - (source[:, :, None] - target).abs()).clamp(min=0)
    inside = (target >= start) & (target < start + length)
    return (weights * inside[:, :, None])[:, None]


def gaussian_smoothing(images: Tensor, side: int) -> LinearMap:
    """Convolve with a Gaussian kernel of that odd side, three standard deviations to each end, zeros outside."""
    offsets = torch.linspace(-3, 3, side, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-(offsets**2) / 2)
    kernel = kernel / kernel.sum()

    def band(length: int) -> Tensor:
        places = torch.arange(length, device=images.device)
        shift = places - places[:, None] + side // 2
        return torch.where((shift >= 0) & (shift < side), kernel[shift.clamp(0, side - 1)], 0)[None, None]

    return LinearMap(band(images.shape[-2]), band(images.shape[-1]))
