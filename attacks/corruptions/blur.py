"""The blurs of CIFAR-10-C (Hendrycks & Dietterich, 2019): defocus, glass, motion and zoom."""

import torch
from torch import Tensor

from attacks import random
from attacks.corruptions.filters import disk, filtered, gaussian_blur, motion_blur, scale_of
from attacks.warp import warp


def defocus_blur(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Blur with a disk whose radius grows with images above 32 pixels (below, it would blur nothing). Deterministic."""
    radius, sigma = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    return filtered(images, disk(radius * max(1.0, scale_of(images)), sigma))


def glass_blur(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Scatter pixels among their neighbours, between two small Gaussian blurs."""
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    sigma, reach = sigma * scale_of(images), max(1, round(scale_of(images)))
    shuffled = gaussian_blur(images, sigma)
    for number in range(rounds):
        shuffled = _shuffled(shuffled, reach, seed, indices, stream=number)
    return gaussian_blur(shuffled, sigma)


def zoom_blur(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Average the image with enlargements of it, one per cent apart. Deterministic."""
    steps = (6, 11, 15, 20, 25)[severity - 1]
    total = 2 * images
    for step in range(1, steps + 1):
        total = total + warp(images, zoom=1 + step / 100, padding="border")
    return total / (steps + 2)


def motion_blurred(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Blur along a random direction within 45 degrees of the horizontal."""
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    degrees = 90 * random.uniform(seed, indices, (), dtype=images.dtype) - 45
    return motion_blur(images, radius=radius * scale_of(images), sigma=sigma * scale_of(images), degrees=degrees)


def _shuffled(images: Tensor, reach: int, seed: int, indices: Tensor, *, stream: int) -> Tensor:
    """Replace every pixel by a random one up to `reach` rows above and `reach` columns to the left of it.

    The paper describes swaps. The code that made the published files overwrites the first pixel before it is read, so
    the second keeps its value; this function reproduces the published files.
    """
    count, channels, height, width = images.shape
    offsets = (random.uniform(seed, indices, (2, height, width), stream=stream) * (reach + 1)).long()
    rows = (torch.arange(height, device=images.device).reshape(1, -1, 1) - offsets[:, 0]).clamp(min=0)
    columns = (torch.arange(width, device=images.device).reshape(1, 1, -1) - offsets[:, 1]).clamp(min=0)
    places = (rows * width + columns).reshape(count, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, places).reshape(images.shape)
