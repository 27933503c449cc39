"""A conditional generator that is told classes by the numbers of another list."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from advgan.models.interface import Generator


class RenumberedGenerator(nn.Module):
    """The same images: what it knows as class k is asked for by `numbers[k]`, one number for each class."""

    order: Tensor

    def __init__(self, generator: Generator, numbers: Sequence[int]) -> None:
        super().__init__()
        assert sorted(numbers) == list(range(generator.num_classes))
        self.generator = generator
        self.num_classes, self.space = generator.num_classes, generator.space
        self.register_buffer("order", torch.tensor(numbers).argsort(), persistent=False)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, D) and classes (N,) by their new numbers to signed images."""
        assert labels is not None
        images: Tensor = self.generator(latents, self.order.to(labels.device)[labels])
        return images
