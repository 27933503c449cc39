"""The exponential moving average (EMA) of a network's weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from advgan.models.interface import Network

UNIT_VECTORS = ("._u", "._v")
"""Ends of the names of buffers that torch's spectral norm keeps."""


def warm_decay(decay: float, step: int) -> float:
    """The EMA's decay at a step, smaller at the start to forget the initial weights: min(decay, (1 + s) / (10 + s))."""
    return min(decay, (1 + step) / (10 + step))


def averaging(average: Network, live: Network) -> Callable[[float], None]:
    """Prepare the update of an EMA: a function of the decay that moves `average` towards `live` once, in place.

    Running statistics are averaged like weights. Integer buffers (counters) are copied, and so are the unit vectors of
    spectral norm, since a mean of unit vectors is not one.
    """
    (averaged, copied), (current, fresh) = _tensors(average), _tensors(live)

    @torch.no_grad()
    def follow(decay: float) -> None:
        torch._foreach_lerp_(averaged, current, 1 - decay)
        if copied:
            torch._foreach_copy_(copied, fresh)

    return follow


def update_average(average: Network, live: Network, *, decay: float) -> None:
    """Move the average by 1 - decay towards the live network once, in place (see `averaging` for repeated updates)."""
    averaging(average, live)(decay)


def _tensors(network: Network) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors of a network that are averaged, and those that are copied."""
    averaged: list[Tensor] = list(network.parameters())
    copied: list[Tensor] = []
    for name, buffer in network.named_buffers():
        is_mean = buffer.is_floating_point() and not name.endswith(UNIT_VECTORS)
        (averaged if is_mean else copied).append(buffer)
    return averaged, copied
