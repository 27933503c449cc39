"""Orthogonal regularisation of a generator's weights."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from advgan.models.interface import Network

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def off_diagonal(network: Network) -> Tensor:
    """Sum ||W W^T * (1 - I)||_F^2 over all convolutions and linear layers (Brock et al., 2019, section 3.1).

    The rows of W are the filters, one per output channel. Only their angles are penalised, not their lengths: 0 where
    all filters of each layer are orthogonal. Embeddings have no part in it. Under spectral norm W is the weight that is
    trained, before it is divided. Stays on the device, and leaves the vectors of spectral norm as they are.

    The authors' published code adds half of this sum's gradient, so their weight of 1e-4 is 5e-5 here.
    """
    weights = [filters(module) for module in network.modules() if isinstance(module, LAYERS)]
    return torch.stack([_off_diagonal(weight) for weight in weights]).sum()


def filters(layer: nn.Module) -> Tensor:
    """The trained weight of a layer as (outputs, everything else)."""
    weight = layer.get_parameter("parametrizations.weight.original" if is_parametrized(layer, "weight") else "weight")
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


def _off_diagonal(weight: Tensor) -> Tensor:
    return 2 * (weight @ weight.T).triu(1).square().sum()
