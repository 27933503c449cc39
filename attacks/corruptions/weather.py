"""The weather corruptions of CIFAR-10-C (Hendrycks & Dietterich, 2019): snow, frost, fog and brightness.

The original overlays crops of six frost photographs. Here the overlay is computed: ridges of fractal noise with the
blue tint and about the mean of those photographs, blended with the original's weights. So frost is comparable to that
of CIFAR-10-C in kind and strength, but not the same images.
"""

import torch
from torch import Tensor

from attacks import random
from attacks.corruptions.filters import motion_blur, scale_of
from attacks.warp import warp

_GREY = (0.299, 0.587, 0.114)
_TINT = (0.85, 0.95, 1.0)


def snow(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Whiten the image and add snowflakes: thresholded noise, motion blurred."""
    mean, deviation, zoom, threshold, radius, sigma, kept = (
        (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    noise = random.normal(seed, indices, (1, *images.shape[-2:]), dtype=images.dtype)
    flakes = warp(mean + deviation * noise, zoom=max(1.0, zoom * scale_of(images)), padding="border")
    flakes = torch.where(flakes < threshold, 0, flakes).clamp(0, 1)
    degrees = -135 + 90 * random.uniform(seed, indices, (), stream=1, dtype=images.dtype)
    flakes = motion_blur(flakes, radius=radius * scale_of(images), sigma=sigma * scale_of(images), degrees=degrees)
    whitened = kept * images + (1 - kept) * torch.maximum(images, 1.5 * grey(images) + 0.5)
    return whitened + flakes + flakes.flip(2, 3)


def frost(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Blend a frost texture over a slightly darkened image."""
    kept, weight = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    ridges = 1 - (2 * plasma(images, seed, indices, decay=1.6) - 1).abs()
    crystals = 0.25 + 0.75 * ridges.square()
    tint = _TINT if images.shape[1] == 3 else (1.0,)
    return kept * images + weight * crystals * images.new_tensor(tint).reshape(1, -1, 1, 1)


def fog(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Add clouds of fractal noise, and rescale so that the maximum of the image would stay where clouds are densest."""
    strength, decay = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))[severity - 1]
    highest = images.amax(dim=(1, 2, 3), keepdim=True)
    clouds = strength * plasma(images, seed, indices, decay=decay)
    return (images + clouds) * highest / (highest + strength)


def brightness(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Raise the value of HSV; hue and saturation stay. Deterministic."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    value = images.amax(dim=1, keepdim=True)
    brighter = (value + more).clamp(max=1)
    return torch.where(value > 0, images * (brighter / torch.where(value > 0, value, 1)), brighter)


def grey(images: Tensor) -> Tensor:
    """The luma (N, 1, H, W) of colour images; the mean over the channels of others."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    return (images * images.new_tensor(_GREY).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def plasma(images: Tensor, seed: int, indices: Tensor, *, decay: float) -> Tensor:
    """Make fractal noise by the diamond-square algorithm (Fournier et al., 1982): (N, 1, H, W) in [0, 1].

    With each halving of the grid the noise amplitude is divided by `decay` squared, because the original divides twice.
    The coarsest grid is the size of the image, so the clouds grow with it.
    """
    size = 1 << (max(images.shape[-2:]) - 1).bit_length()
    noise = 2 * random.uniform(seed, indices, (size, size), stream=2, dtype=images.dtype) - 1
    heights, step, strength = torch.zeros_like(noise), size, 1.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        edges = corners + corners.roll(-1, dims=1)
        centres = (edges + edges.roll(-1, dims=2)) / 4 + strength * noise[:, half::step, half::step]
        heights[:, half::step, half::step] = centres
        above = centres + centres.roll(1, dims=1) + corners + corners.roll(-1, dims=2)
        beside = centres + centres.roll(1, dims=2) + corners + corners.roll(-1, dims=1)
        heights[:, ::step, half::step] = above / 4 + strength * noise[:, ::step, half::step]
        heights[:, half::step, ::step] = beside / 4 + strength * noise[:, half::step, ::step]
        step, strength = half, strength / decay**2
    heights = heights - heights.amin(dim=(1, 2), keepdim=True)
    heights = heights / heights.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    return heights[:, None, : images.shape[-2], : images.shape[-1]]
