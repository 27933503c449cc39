"""DCGAN (Radford et al., 2015) for every size from 8, a power of two or not.

The generator doubles the side of its maps until they have the size of the image, the discriminator halves it. From n an
odd side m = 2n - 1 is reached exactly by a stride-2 kernel of 3, an even side m = 2n by one of 4, both with padding 1;
the same kernels lead back. So nothing is cropped: images of 28 go 4, 7, 14, 28, and images of 12 go 3, 6, 12.
"""

from typing import Literal

from torch import Tensor, nn

from advgan.models.conditioning import LabelledLatents, ProjectionHead

Normalization = Literal["batch", "layer"]


def sides(size: int) -> list[int]:
    """Sides of the feature maps from the image inwards, halved and rounded up until at most 4."""
    found = [size]
    while found[-1] > 4:
        found.append((found[-1] + 1) // 2)
    return found


def depths(size: int, width: int) -> list[int]:
    """Channels of the maps inside the image, from the image inwards: doubled at each level, up to 8 times `width`."""
    return [width * min(2**level, 8) for level in range(len(sides(size)) - 1)]


class DcganGenerator(nn.Module):
    """Latents to signed images through transposed convolutions, with batch norm and ReLU between."""

    def __init__(
        self, *, size: int, channels: int, num_classes: int, latent_dim: int, latent_kind: str, width: int
    ) -> None:
        super().__init__()
        self.latent_dim, self.latent_kind, self.num_classes = latent_dim, latent_kind, num_classes
        self.inputs = LabelledLatents(latent_dim, num_classes=num_classes)
        maps, outputs = depths(size, width), sides(size)
        seed_map = (maps[-1], outputs[-1], outputs[-1])
        layers: list[nn.Module] = [
            nn.Linear(self.inputs.width, maps[-1] * outputs[-1] ** 2, bias=False),
            nn.Unflatten(1, seed_map),
            nn.BatchNorm2d(maps[-1]),
            nn.ReLU(),
        ]
        for level in range(len(maps) - 1, 0, -1):
            layers += [
                nn.ConvTranspose2d(maps[level], maps[level - 1], _kernel(outputs[level]), 2, 1, bias=False),
                nn.BatchNorm2d(maps[level - 1]),
                nn.ReLU(),
            ]
        layers += [nn.ConvTranspose2d(maps[0], channels, _kernel(size), 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize(self.layers)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.inputs(latents, labels))
        return images


class DcganDiscriminator(nn.Module):
    """Signed images to logits through strided convolutions and LeakyReLU; the first has no norm, as in the paper.

    Its batch norm takes the statistics of the batch at hand in eval mode too, since running ones would mix real and
    generated images, which it never does in training: on MNIST it would call 4 of 5 held-out images fake that it
    accepts in training. So score real and generated images apart, in shuffled batches like those of training.

    `normalization` "layer" replaces batch norm by layer norm, which keeps the samples of a batch apart: a gradient
    penalty is defined for each sample alone (Gulrajani et al., 2017, section 4).
    """

    def __init__(
        self, *, size: int, channels: int, num_classes: int, width: int, normalization: Normalization = "batch"
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        maps, inputs = depths(size, width), sides(size)
        layers: list[nn.Module] = [nn.Conv2d(channels, maps[0], _kernel(size), 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, len(maps)):
            layers += [
                nn.Conv2d(maps[level - 1], maps[level], _kernel(inputs[level]), 2, 1, bias=False),
                _norm(maps[level], normalization),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = ProjectionHead(maps[-1] * inputs[-1] ** 2, num_classes=num_classes)
        initialize(self.layers)
        nn.init.normal_(self.head.linear.weight, 0, 0.02)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.features(images), labels)
        return logits


def initialize(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and the scales of batch norm from N(1, 0.02), as the paper and its code do."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)


def _norm(channels: int, normalization: Normalization) -> nn.Module:
    if normalization == "layer":
        return nn.GroupNorm(1, channels)
    return nn.BatchNorm2d(channels, track_running_stats=False)


def _kernel(side: int) -> int:
    """The kernel that joins a map of this side to the next smaller one exactly, at stride 2 and padding 1."""
    return 4 - side % 2
