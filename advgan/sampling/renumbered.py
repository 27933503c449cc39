"""A conditional generator whose class numbers are those of another list of classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from advgan.models.interface import Generator


class RenumberedGenerator(nn.Module):
    """The same generator, with class k requested as `numbers[k]`; `numbers` is a permutation of the classes."""

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
