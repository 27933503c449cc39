"""Spectral normalisation of a whole network."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def constrain(network: nn.Module) -> None:
    """Divide the weight of every linear layer, convolution and embedding by its largest singular value.

    One step of power iteration a forward pass in train mode (Miyato et al., 2018); the vectors are buffers and so part
    of a checkpoint. A weight that is 0 has no norm to be divided by, so it is drawn from N(0, 0.02) first: the vectors
    of a projection then start with a say.
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)):
            if not bool(module.weight.any()):
                nn.init.normal_(module.weight, 0, 0.02)
            spectral_norm(module, eps=1e-6)
