"""Layers by which a class label enters a generator or a discriminator; with `num_classes` 0 they ignore labels."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


def needed(labels: Tensor | None) -> Tensor:
    """Refuse to guess the labels of a conditional network."""
    if labels is None:
        raise ValueError("this network is conditional: give labels, one class number per image")
    return labels


class LabelledLatents(nn.Module):
    """Append the label to the latents, one-hot (Mirza and Osindero, 2014).

    Not as a learnt embedding as wide as the latents: under batch norm it dominated them, and a DCGAN on MNIST collapsed
    to one image a class (distance between two images of a class 0.06 of that of real ones; 1.0 with one-hot labels).
    """

    def __init__(self, latent_dim: int, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.width = latent_dim + num_classes

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes == 0:
            return latents
        return torch.cat([latents, one_hot(needed(labels), self.num_classes).to(latents.dtype)], dim=1)


class EmbeddedLatents(nn.Module):
    """Append to the latents a learnt embedding of the label, as long as they are (Huang et al., 2024).

    Drawn from N(0, 1 / classes), so that it starts much smaller than the latents.
    """

    def __init__(self, latent_dim: int, *, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.width = latent_dim * (2 if num_classes else 1)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, num_classes**-0.5)

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
