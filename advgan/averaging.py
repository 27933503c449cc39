"""The moving average of a network's weights."""

import torch
from torch import Tensor

from advgan.models.interface import Network


def warm_decay(decay: float, step: int) -> float:
    """Shorten the average at the start, to forget the initial weights: min(decay, (1 + step) / (10 + step))."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: Network, live: Network, *, decay: float) -> None:
    """Move the average by 1 - decay towards the live network, in place.

    Running statistics are averaged like the weights that they belong to; whole numbers (counters) are copied.
    """
    averaged, current = _tensors(average), _tensors(live)
    floating = [index for index, tensor in enumerate(averaged) if tensor.is_floating_point()]
    torch._foreach_lerp_([averaged[i] for i in floating], [current[i] for i in floating], 1 - decay)
    for index in set(range(len(averaged))) - set(floating):
        averaged[index].copy_(current[index])


def _tensors(network: Network) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
