"""A small convolutional network: strided convolutions, no normalisation, one hidden layer."""

import math

from torch import Tensor, nn

SMALLEST_MAP = 4
"""Convolutions stop halving the image at this side; below it nothing of its geometry is left."""


class Cnn(nn.Module):
    """Classify images by `depth` convolutions, the last of which halve the image, and a hidden layer.

    The architecture of fast adversarial training on MNIST (Wong et al., 2020): without pooling and batch norm it costs
    a tenth of a network of the same accuracy with them. Channels start at `width` and double with each later halving.
    `depth` defaults to the halvings that bring the image to a side of 4 to 7, at least two.

    (N, channels, size, size) images to (N, num_classes) logits; sizes from 4 up.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        num_classes: int,
        depth: int | None = None,
        width: int = 16,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        most_halvings = int(math.log2(size / SMALLEST_MAP))
        depth = max(2, most_halvings) if depth is None else depth
        halvings = min(depth, most_halvings)
        layers: list[nn.Module] = []
        inputs, outputs = channels, width
        for layer in range(depth):
            halves = layer >= depth - halvings
            outputs = outputs * 2 if halves and layer > 0 else outputs
            # An even kernel halves an even side exactly and weighs every pixel alike.
            layers += [
                nn.Conv2d(inputs, outputs, 4, 2, 1) if halves else nn.Conv2d(inputs, outputs, 3, 1, 1),
                nn.ReLU(),
            ]
            size = size // 2 if halves else size
            inputs = outputs
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * size * size, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return self.head(self.features(images))
