"""SNGAN with residual networks (Miyato et al., 2018), conditional as with projection (Miyato and Koyama, 2018).

`width` 64 gives the networks of the paper: 256 channels in the generator and 128 in the discriminator at 32 pixels, 64
to 1024 in both above. A smaller one shrinks all of them alike.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import one_hot

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import needed
from advgan.models.layers.doubling import resolutions
from advgan.models.layers.judge import Judge
from advgan.models.layers.normalization import generator_norm
from advgan.models.layers.residual import (
    DiscriminatorBlock,
    GeneratorBlock,
    ResidualTrunk,
    discriminator_stages,
    generator_maps,
)
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes


class SnganGenerator(nn.Module):
    """Latents to signed images through residual blocks that each double the side.

    The label of a conditional generator scales and shifts the batch norms of every block, and the last one, unless
    `generator_labels` is "inner-batch-norm".
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        maps = generator_maps(shape.size, networks.width, small=4)
        side = resolutions(shape.size)[0]
        self.seed = nn.Sequential(nn.Linear(self.space.dim, maps[0] * side**2), nn.Unflatten(1, (maps[0], side, side)))
        self.blocks = nn.ModuleList(
            GeneratorBlock(inputs, outputs, networks, condition_dim=shape.num_classes)
            for inputs, outputs in pairwise(maps)
        )
        known = 0 if networks.generator_labels == "inner-batch-norm" else shape.num_classes
        self.norm = generator_norm(maps[-1], networks, condition_dim=known)
        self.last = nn.Conv2d(maps[-1], shape.channels, 3, padding=1)
        initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        condition = one_hot(needed(labels), self.num_classes).to(latents.dtype) if self.num_classes else None
        maps: Tensor = self.seed(latents)
        for block in self.blocks:
            maps = block(maps, condition)
        images: Tensor = self.last(self.norm(maps, condition).relu())
        return images.tanh()


class SnganDiscriminator(Judge):
    """Signed images to logits through residual blocks under spectral norm, summed over places."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        self.trunk = ResidualTrunk(networks, shape, discriminator_stages(shape.size, networks.width, small=2))
        self.head = Verdict(self.trunk.num_features, networks=networks, num_classes=shape.num_classes)
        initialize(self)
        if networks.discriminator_norm == "spectral":
            constrain(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features: Tensor = self.trunk(images, labels)
        return features


def initialize(network: nn.Module) -> None:
    """Draw weights as Glorot and Bengio (2010), those of the 3x3 convolutions in blocks sqrt(2) times as large.

    So do the authors. The linear maps of conditional norms, which start near 0, are left alone. The vectors of a
    projection are drawn too, for at 0 they would have no spectral norm to be divided by.
    """
    inner = {
        module
        for block in network.modules()
        if isinstance(block, (GeneratorBlock, DiscriminatorBlock))
        for module in (block.conv1, block.conv2)
    }
    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)) and "norm" not in name:
            nn.init.xavier_uniform_(module.weight, 2**0.5 if module in inner else 1)
        if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)
