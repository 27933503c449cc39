"""What torch-fidelity's feature extractors have in common: bytes in, a tuple of features out."""

import torch
from torch import Tensor, nn

from evaluation.features.features import Look, single_class
from evaluation.features.resizing import colour_bytes


def look_through(network: nn.Module, device: torch.device | str) -> Look:
    """See images as one of torch-fidelity's extractors does, which resizes them itself; grey ones become colour."""
    network.to(device)

    @torch.no_grad()
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = network(colour_bytes(images.to(device)))
        return features, single_class(features)

    return look
