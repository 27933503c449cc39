"""Few sizes of batches for devices that plan for each anew, while an attack's batch gets smaller."""

import math

import torch
from torch import Tensor

PLANNING = ("cuda",)
"""Devices whose libraries plan, and compilers compile, for each size of a batch."""


def rounded_size(count: int, widest: int) -> int:
    """The next size of a batch from `count` up: `widest` times 1, 3/4, 1/2, 3/8, ... and at least a 32nd of it."""
    size = widest
    for power in range(1, 6):
        for smaller in (math.ceil(widest * 1.5 / 2**power), math.ceil(widest / 2**power)):
            if count <= smaller:
                size = smaller
    return size


def filled_up(inputs: Tensor, widest: int) -> Tensor:
    """Inputs with rows of zeros below, up to the next size; the widest batch was as wide as that."""
    missing = rounded_size(len(inputs), widest) - len(inputs)
    return torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])]) if missing > 0 else inputs
