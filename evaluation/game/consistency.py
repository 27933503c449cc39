"""Comparison of a generator's images in eval mode, in train mode, and of the averaged and live weights."""

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgan.models.interface import Generator
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from advgan.ranges import from_signed


class Shift(NamedTuple):
    """Two ways to draw the same latents, in units of the mean distance between two real images."""

    between: float
    """Mean distance of the two images of a latent."""
    first: float
    """Distance of the first way's mean features from those of real images."""
    second: float


def shift(first: Tensor, second: Tensor, *, real_mean: Tensor, unit: float) -> Shift:
    """Compare features (N, D) of the same latents drawn in two ways; `real_mean` (D,), `unit` the distance of reals."""
    between = float((first - second).double().norm(dim=1).mean())
    gaps = [float((features.double().mean(dim=0) - real_mean).norm()) for features in (first, second)]
    return Shift(between / unit, gaps[0] / unit, gaps[1] / unit)


def has_running_statistics(network: Generator) -> bool:
    """Whether eval mode computes with remembered statistics instead of those of the batch."""
    return any(getattr(module, "running_mean", None) is not None for module in network.modules())


@torch.no_grad()
def drawn_in_train_mode(
    generator: Generator, latents: Tensor, labels: Tensor | None, *, batch_size: int = 32
) -> Tensor:
    """Images (N, C, H, W) in [0, 1] with the statistics of batches of `batch_size`, on the CPU.

    A copy draws them, so that no statistic moves; it asks no other process for its batch.
    """
    copy = deepcopy(generator).train()
    for module in copy.modules():
        if isinstance(module, SynchronisedBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
    parts = torch.arange(len(latents), device=latents.device).split(batch_size)
    return torch.cat([from_signed(copy(latents[p], None if labels is None else labels[p])).cpu() for p in parts])
