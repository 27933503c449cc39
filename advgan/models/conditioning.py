"""How a class label enters a generator and a discriminator. With `num_classes` 0 all let labels pass unseen."""

import torch
from torch import Tensor, nn


def needed(labels: Tensor | None) -> Tensor:
    """Refuse to guess the labels of a conditional network."""
    if labels is None:
        raise ValueError("this network is conditional: give labels, one class number per image")
    return labels


class LabelledLatents(nn.Module):
    """Append an embedding of the label to the latents, as wide as they are (Mirza and Osindero, 2014)."""

    def __init__(self, latent_dim: int, *, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.width = 2 * latent_dim if num_classes else latent_dim

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        if self.embedding is None:
            return latents
        return torch.cat([latents, self.embedding(needed(labels))], dim=1)


class LabelledImages(nn.Module):
    """Append a map that is learnt for each class to the channels of images (Mirza and Osindero, 2014).

    `extra` is the number of channels that it adds. The maps start at N(0, 0.02).
    """

    def __init__(self, size: int, *, num_classes: int) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(num_classes, size * size) if num_classes else None
        self.extra = 1 if num_classes else 0
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 0.02)

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        if self.embedding is None:
            return images
        maps = self.embedding(needed(labels)).view(-1, 1, self.size, self.size)
        return torch.cat([images, maps], dim=1)
