"""DCGAN (Radford et al., 2015) for every size from 8, a power of two or not.

The generator doubles the side of its maps until they have the size of the image, the discriminator halves it. From n an
odd side m = 2n - 1 is reached exactly by a stride-2 kernel of 3, an even side m = 2n by one of 4, both with padding 1;
the same kernels lead back. So nothing is cropped: images of 28 go 4, 7, 14, 28, and images of 12 go 3, 6, 12.
"""

from torch import Tensor, nn
from torch.nn.functional import one_hot

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages, LabelledLatents, needed
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.normalization import discriminator_norm, generator_norm
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes
from advgan.models.layers.virtual_batch_norm import ReferenceBatch, VirtualBatchNorm2d


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
    """Latents to signed images through transposed convolutions, with a norm and ReLU between.

    With `generator_labels` "batch-norm" the label scales and shifts the norms, else it is appended to the latents. With
    `generator_norm` "virtual" a fixed reference batch goes through the layers before every batch.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        condition_dim = shape.num_classes if networks.generator_labels == "batch-norm" else 0
        self.scales_norms = condition_dim > 0
        self.inputs = LabelledLatents(self.space.dim, num_classes=0 if self.scales_norms else shape.num_classes)
        maps, outputs = depths(shape.size, networks.width), sides(shape.size)
        self.seed = nn.Sequential(
            nn.Linear(self.inputs.width, maps[-1] * outputs[-1] ** 2, bias=False),
            nn.Unflatten(1, (maps[-1], outputs[-1], outputs[-1])),
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(maps[level], maps[level - 1], joining_kernel(outputs[level]), 2, 1, bias=False)
            for level in range(len(maps) - 1, 0, -1)
        )
        self.norms = nn.ModuleList(
            generator_norm(channels, networks, condition_dim=condition_dim) for channels in reversed(maps)
        )
        kernel, bias = joining_kernel(shape.size), networks.outer_biases
        self.last = nn.ConvTranspose2d(maps[0], shape.channels, kernel, 2, 1, bias=bias)
        self.reference = (
            ReferenceBatch(self.space, num_classes=shape.num_classes) if networks.generator_norm == "virtual" else None
        )
        initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        rows = latents.shape[0]  # len() would fix the batch size of an exported network
        if self.reference is not None:
            latents, labels = self.reference.before(latents, labels)
        condition = one_hot(needed(labels), self.num_classes).to(latents.dtype) if self.scales_norms else None
        maps: Tensor = self.seed(self.inputs(latents, labels))
        maps = self.norms[0](maps, condition).relu()
        for up, norm in zip(self.ups, list(self.norms)[1:], strict=True):
            maps = norm(up(maps), condition).relu()
        if self.reference is not None:
            maps = maps[maps.shape[0] - rows :]
        images: Tensor = self.last(maps)
        return images.tanh()


class DcganDiscriminator(Judge):
    """Signed images to logits through strided convolutions and LeakyReLU; the first has no norm, as in the paper.

    Its batch norm uses batch statistics in eval mode too, since running statistics mix those of real and generated
    batches: with them it called 4 of 5 held-out MNIST images fake that it accepts with batch statistics. So pass real
    and generated images in separate, shuffled batches, as training does.

    `discriminator_norm` "layer" replaces batch norm by layer norm, which keeps the samples of a batch apart: a gradient
    penalty is defined for each sample alone (Gulrajani et al., 2017, section 4).
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        maps, inputs = depths(shape.size, networks.width), sides(shape.size)
        channels, bias = shape.channels + self.inputs.extra, networks.outer_biases
        layers = [*_down(channels, maps[0], shape.size, networks, bias=bias), _bend(networks)]
        for level in range(1, len(maps)):
            layers += [
                *_down(maps[level - 1], maps[level], inputs[level], networks, bias=False),
                discriminator_norm(maps[level], networks),
                _bend(networks),
            ]
        self.layers = nn.Sequential(*layers)
        self.batch = MinibatchFeatures((maps[-1], inputs[-1], inputs[-1]), networks)
        self.head = Verdict(self.batch.num_features, networks=networks, num_classes=shape.num_classes)
        initialize(self)
        if networks.discriminator_norm == "spectral":
            constrain(self)


def initialize(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and the scales of batch norm from N(1, 0.02), as the paper and its code do."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, VirtualBatchNorm2d)) and module.weight is not None:
            nn.init.normal_(module.weight, 1, 0.02)


def _down(inputs: int, outputs: int, side: int, networks: GanNetworks, *, bias: bool = True) -> list[nn.Module]:
    """Halve the side of maps: by a strided convolution, or by one of stride 1 and the maximum of each 2x2."""
    if networks.sparse:
        return [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias), nn.MaxPool2d(2, ceil_mode=True)]
    return [nn.Conv2d(inputs, outputs, joining_kernel(side), 2, 1, bias=bias)]


def _bend(networks: GanNetworks) -> nn.Module:
    return nn.ReLU() if networks.sparse else nn.LeakyReLU(0.2)


def joining_kernel(side: int) -> int:
    """The kernel that joins a map of this side to the next smaller one exactly, at stride 2 and padding 1."""
    return 4 - side % 2
