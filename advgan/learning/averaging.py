"""The moving average of a network's weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from advgan.models.interface import Network

UNIT_VECTORS = ("._u", "._v")
"""Ends of the names of buffers that torch's spectral norm keeps."""


def warm_decay(decay: float, step: int) -> float:
    """Shorten the average at the start, to forget the initial weights: min(decay, (1 + step) / (10 + step))."""
    return min(decay, (1 + step) / (10 + step))


def averaging(average: Network, live: Network) -> Callable[[float], None]:
    """Prepare for moving an average after a live network: a function of the decay that does it once, in place.

    Running statistics are averaged like the weights that they belong to. Whole numbers (counters) are copied, and so
    are the unit vectors of spectral norm: a mean of unit vectors is none.
    """
    (averaged, copied), (current, fresh) = _tensors(average), _tensors(live)

    @torch.no_grad()
    def follow(decay: float) -> None:
        torch._foreach_lerp_(averaged, current, 1 - decay)
        if copied:
            torch._foreach_copy_(copied, fresh)

    return follow


def update_average(average: Network, live: Network, *, decay: float) -> None:
    """Move the average by 1 - decay towards the live network, in place, as `averaging` does again and again."""
    averaging(average, live)(decay)


def _tensors(network: Network) -> tuple[list[Tensor], list[Tensor]]:
    """What is averaged, and what is copied."""
    averaged: list[Tensor] = list(network.parameters())
    copied: list[Tensor] = []
    for name, buffer in network.named_buffers():
        is_mean = buffer.is_floating_point() and not name.endswith(UNIT_VECTORS)
        (averaged if is_mean else copied).append(buffer)
    return averaged, copied
