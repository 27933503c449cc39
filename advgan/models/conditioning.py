"""How a class label enters a generator and a discriminator. With `num_classes` 0 both let labels pass unseen."""

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


class ProjectionHead(nn.Module):
    """Read logits (N,) from features (N, D): w.h + b, plus v_label.h with a vector per class (Miyato and Koyama, 2018).

    The class vectors start at 0, so the discriminator starts out blind to the label and learns what it is worth.
    """

    def __init__(self, num_features: int, *, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, 1)
        self.embedding = nn.Embedding(num_classes, num_features) if num_classes else None
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.linear(features).squeeze(1)
        if self.embedding is None:
            return logits
        return logits + (self.embedding(needed(labels)) * features).sum(dim=1)
