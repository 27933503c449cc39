"""Spectral normalisation of a whole network."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def constrain(network: nn.Module) -> None:
    """Divide the weight of every linear layer, convolution and embedding by its largest singular value.

    One step of power iteration a forward pass in train mode (Miyato et al., 2018); the vectors are buffers and so part
    of a checkpoint. A weight that starts at 0 has no direction: give it one before.
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)):
            spectral_norm(module, eps=1e-6)
