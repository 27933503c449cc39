"""Largest singular values of a network's weights: their sudden growth comes before collapse (Brock et al., 2019)."""

import torch
from torch import Tensor

from advgan.models.interface import Network
from attacks.random import normal

ITERATIONS = 30
"""Of the power method. The value is from below, and within a few per mille where the largest stands out."""


@torch.no_grad()
def largest_singular_values(network: Network) -> list[float]:
    """Of each weight with two dimensions or more, as the matrix (outputs, the rest), in the order of the modules.

    The weight is taken after its parametrisation, so under spectral norm the value is about 1. One device sync.
    """
    training = network.training
    network.eval()  # reading a weight under spectral norm would move its vectors in train mode
    try:
        weights = [getattr(module, "weight", None) for module in network.modules()]
        found = [_largest(weight.flatten(1)) for weight in weights if isinstance(weight, Tensor) and weight.ndim > 1]
        return torch.stack(found).tolist() if found else []
    finally:
        network.train(training)


def _largest(matrix: Tensor) -> Tensor:
    """The power method from a fixed random vector."""
    matrix = matrix.detach().float()
    vector = normal(0, torch.arange(matrix.shape[1], device=matrix.device), ())
    length = vector.norm()
    for _ in range(ITERATIONS):
        vector = vector / length.clamp(min=torch.finfo(vector.dtype).tiny)
        vector = matrix.T @ (matrix @ vector)
        length = vector.norm()
    return length.sqrt()
