"""A multilayer perceptron on pixels."""

from itertools import pairwise

from torch import Tensor, nn


class Mlp(nn.Module):
    """Classify flattened images by `depth` hidden layers of `width` units.

    (N, channels, size, size) images to (N, num_classes) logits.
    """

    def __init__(self, *, size: int, channels: int, num_classes: int, depth: int = 2, width: int = 256) -> None:
        super().__init__()
        widths = [channels * size * size] + [width] * depth
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return self.head(self.features(images))
