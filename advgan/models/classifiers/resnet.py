"""The residual network for small images (He et al., 2015), with pre-activation blocks (He et al., 2016)."""

import math

import torch
from torch import Tensor, nn

SMALLEST_MAP = 4
LARGEST_MAP = 64
"""Larger images are halved by the stem until they fit."""


class Block(nn.Module):
    """Two 3x3 convolutions, each after normalisation and ReLU, added to their input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        activated = torch.relu(self.norm1(maps))
        shortcut = maps if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.conv2(torch.relu(self.norm2(self.conv1(activated))))


class ResNet(nn.Module):
    """Classify images by `stages` of `depth` residual blocks, 2 * stages * depth + 2 layers in all.

    The first stage has `width` channels; each later one has twice as many on maps of half the side, while these stay at
    4 pixels or more: so images under 16 pixels are halved once rather than twice by three stages. Images over 64 pixels
    are first halved by the stem, so that the last maps have a side of 4 to 16 for any size from 8 to 224.

    (N, channels, size, size) images to (N, num_classes) logits.
    """

    def __init__(
        self, *, size: int, channels: int, num_classes: int, depth: int = 3, width: int = 16, stages: int = 3
    ) -> None:
        super().__init__()
        stem_halvings = max(0, math.ceil(math.log2(size / LARGEST_MAP)))
        layers: list[nn.Module] = []
        inputs = channels
        for _ in range(stem_halvings):
            layers += [nn.Conv2d(inputs, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        layers.append(nn.Conv2d(inputs, width, 3, 1, 1, bias=False))
        inputs = width
        for stage in range(stages):
            halves = stage == 1 or (stage > 1 and size >= SMALLEST_MAP * 2**stage)
            for block in range(depth):
                layers.append(Block(inputs, width * 2**stage, 2 if halves and block == 0 else 1))
                inputs = width * 2**stage
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return self.head(self.features(images))
