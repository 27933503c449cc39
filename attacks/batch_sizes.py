"""Pad shrinking batches to a few fixed sizes, for devices that plan or compile anew for every batch size."""

import math

import torch
from torch import Tensor

PLANNING = ("cuda",)
"""Device types on which libraries (cuDNN, cuBLAS) and compilers prepare kernels for each batch size."""


def rounded_size(count: int, widest: int) -> int:
    """Round a batch size up to the next of `widest` times 1, 3/4, 1/2, 3/8, ..., 1/32."""
    size = widest
    for power in range(1, 6):
        for smaller in (math.ceil(widest * 1.5 / 2**power), math.ceil(widest / 2**power)):
            if count <= smaller:
                size = smaller
    return size


def filled_up(inputs: Tensor, widest: int) -> Tensor:
    """Append rows of zeros to the inputs up to `rounded_size`; `widest` is the largest batch seen so far."""
    missing = rounded_size(len(inputs), widest) - len(inputs)
    return torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])]) if missing > 0 else inputs
