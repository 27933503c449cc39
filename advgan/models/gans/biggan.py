"""BigGAN (Brock et al., 2019) at any width; 96 gives the channels of the paper at 128 pixels."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import needed
from advgan.models.layers.doubling import resolutions
from advgan.models.layers.judge import Judge
from advgan.models.layers.normalization import generator_norm
from advgan.models.layers.residual import GeneratorBlock, ResidualTrunk, discriminator_stages, generator_maps
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes

EMBEDDING_DIM = 128
"""Length of the class embedding that all blocks share, as in the paper."""


class BigganGenerator(nn.Module):
    """Latents to signed images; each block is conditioned on the class and its own part of the latents (skip-z).

    The first part of the latents makes the first maps, each other part scales and shifts the batch norms of one block,
    together with the class embedding where there are classes. Spectral norm applies to all weights but the embedding's.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        maps = generator_maps(shape.size, networks.width, small=4)
        side = resolutions(shape.size)[0]
        self.parts = parts(self.space.dim, len(maps))
        self.embedding = nn.Embedding(shape.num_classes, EMBEDDING_DIM) if shape.num_classes else None
        known = EMBEDDING_DIM if shape.num_classes else 0
        self.seed = nn.Sequential(nn.Linear(self.parts[0], maps[0] * side**2), nn.Unflatten(1, (maps[0], side, side)))
        self.blocks = nn.ModuleList(
            GeneratorBlock(inputs, outputs, networks, condition_dim=known + part)
            for inputs, outputs, part in zip(maps[:-1], maps[1:], self.parts[1:], strict=True)
        )
        self.attentions = nn.ModuleList(nn.Identity() for _ in self.blocks)
        if attends(shape.size):
            self.attentions[-2] = SelfAttention(maps[-2])
        self.norm = generator_norm(maps[-1], networks)
        self.last = nn.Conv2d(maps[-1], shape.channels, 3, padding=1)
        initialize(self)
        for part in (self.seed, self.blocks, self.attentions, self.last):
            constrain(part)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        known = [] if self.embedding is None else [self.embedding(needed(labels))]
        seed, *rest = latents.split(self.parts, dim=1)
        maps: Tensor = self.seed(seed)
        for block, attention, part in zip(self.blocks, self.attentions, rest, strict=True):
            maps = attention(block(maps, torch.cat([*known, part], dim=1)))
        images: Tensor = self.last(self.norm(maps).relu())
        return images.tanh()


class BigganDiscriminator(Judge):
    """Signed images to logits through residual blocks under spectral norm, with attention after the first."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        stages = discriminator_stages(shape.size, networks.width, small=4)
        attention = SelfAttention(stages[0].channels) if attends(shape.size) else None
        self.trunk = ResidualTrunk(networks, shape, stages, after_first=attention)
        self.head = Verdict(self.trunk.num_features, networks=networks, num_classes=shape.num_classes)
        initialize(self)
        if networks.discriminator_norm == "spectral":
            constrain(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features: Tensor = self.trunk(images, labels)
        return features


class SelfAttention(nn.Module):
    """Self-attention over places, added to maps (N, C, H, W) with a learnt gain that starts at 0 (Zhang et al., 2019).

    Keys and values are taken from maps of half the side; queries and keys have C / 8 channels, values C / 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.queries = nn.Conv2d(channels, narrow, 1, bias=False)
        self.keys = nn.Conv2d(channels, narrow, 1, bias=False)
        self.values = nn.Conv2d(channels, half, 1, bias=False)
        self.last = nn.Conv2d(half, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        queries = self.queries(maps).flatten(2)
        keys = max_pool2d(self.keys(maps), 2).flatten(2)
        values = max_pool2d(self.values(maps), 2).flatten(2)
        shares = torch.softmax(queries.transpose(1, 2) @ keys, dim=2)
        read = (values @ shares.transpose(1, 2)).unflatten(2, maps.shape[2:])
        return maps + self.gain * self.last(read)


def attends(size: int) -> bool:
    """Whether networks for this size have attention: at half the side of the image, as the paper has at 128 pixels.

    Not where that is the base, up to 14 pixels.
    """
    return len(resolutions(size)) > 2


def parts(dim: int, count: int) -> list[int]:
    """Lengths of `count` parts of latents, as equal as can be; the first ones may be one longer.

    Raises ValueError where there is less than one number for each.
    """
    if dim < count:
        raise ValueError(
            f"networks.latent_dim {dim}: family biggan splits the latents among {count} places of this image size, "
            f"so set {count} or more"
        )
    return [dim // count + (index < dim % count) for index in range(count)]


def initialize(network: nn.Module) -> None:
    """Make every weight orthogonal (Saxe et al., 2014) and every bias 0, as the paper does."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)):
            nn.init.orthogonal_(module.weight)
        if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)
