"""Filters that corruptions share: correlations with small kernels, mirrored at the border."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

Tap = tuple[int, int, float]
"""One entry of a kernel: rows down, columns right, weight."""


def scale_of(images: Tensor) -> float:
    """The factor for lengths in pixels, which were chosen for CIFAR-10: the shorter side over 32."""
    return min(images.shape[-2:]) / 32


def filtered(images: Tensor, taps: Iterable[Tap]) -> Tensor:
    """Correlate (..., H, W) with a kernel."""
    result = torch.zeros_like(images)
    for down, right, weight in taps:
        result += weight * _shifted(_shifted(images, down, dim=-2), right, dim=-1)
    return result


def gaussian_blur(images: Tensor, sigma: float, *, reach: float = 4.0) -> Tensor:
    """Blur (..., H, W) with a Gaussian of `sigma` pixels, cut at `reach` sigmas."""
    weights = _gaussian(sigma, round(reach * sigma))
    down = filtered(images, [(offset, 0, weight) for offset, weight in weights])
    return filtered(down, [(0, offset, weight) for offset, weight in weights])


def disk(radius: float, sigma: float) -> list[Tap]:
    """A disk whose edge is smoothed by a Gaussian over 3 x 3 pixels, or 5 x 5 if the radius exceeds 8."""
    reach = math.floor(radius)
    inside = [
        (down, right)
        for down in range(-reach, reach + 1)
        for right in range(-reach, reach + 1)
        if down * down + right * right <= radius * radius
    ]
    smoothing = _gaussian(sigma, 1 if radius <= 8 else 2)
    weights: dict[tuple[int, int], float] = {}
    for down, right in inside:
        for further_down, one in smoothing:
            for further_right, other in smoothing:
                place = down + further_down, right + further_right
                weights[place] = weights.get(place, 0.0) + one * other / len(inside)
    return [(down, right, weight) for (down, right), weight in weights.items()]


def motion_blur(images: Tensor, *, radius: float, sigma: float, degrees: Tensor) -> Tensor:
    """Blur images (N, C, H, W) along one direction each, one-sided, with the falling half of a Gaussian.

    `degrees` (N,) are measured from the axis to the right. The kernel is that of ImageMagick, which CIFAR-10-C was made
    with: 2 * radius + 1 taps one pixel apart, each rounded to the nearest pixel and clamped to the image.
    """
    count, channels, height, width = images.shape
    angle = torch.deg2rad(degrees.to(torch.float64)).reshape(-1, 1, 1)
    rows = torch.arange(height, device=images.device).reshape(1, -1, 1)
    columns = torch.arange(width, device=images.device).reshape(1, 1, -1)
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(2 * round(radius) + 1)]
    flat, result = images.flatten(2), torch.zeros_like(images)
    for step, weight in enumerate(weights):
        down = (step * torch.sin(angle) - 0.5).ceil().long()
        right = (step * torch.cos(angle) - 0.5).ceil().long()
        places = (rows + down).clamp(0, height - 1) * width + (columns + right).clamp(0, width - 1)
        moved = flat.gather(2, places.reshape(count, 1, -1).expand(-1, channels, -1))
        result += (weight / sum(weights)) * moved.reshape(images.shape)
    return result


def _gaussian(sigma: float, reach: int) -> list[tuple[int, float]]:
    offsets = range(-reach, reach + 1)
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) if offset else 1.0 for offset in offsets]
    return [(offset, weight / sum(weights)) for offset, weight in zip(offsets, weights, strict=True)]


def _shifted(images: Tensor, by: int, *, dim: int) -> Tensor:
    """Shift by `by` pixels along a dimension, mirroring at the border without repeating the outermost pixel."""
    if by == 0:
        return images
    size = images.shape[dim]
    places = (torch.arange(size, device=images.device) + by) % max(2 * size - 2, 1)
    return images.index_select(dim, torch.minimum(places, 2 * size - 2 - places).clamp(min=0))
