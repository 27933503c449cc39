"""R3GAN, the modern baseline (Huang et al., 2024): a plain residual network without any normalisation.

Kept from the paper: blocks of 1x1, grouped 3x3 and 1x1 convolutions that widen twofold (as in ResNeXt), two a stage, 16
channels a group; LeakyReLU with its gain; the initialisation of Fixup, which lets a deep network train without norms;
a learnt constant that the latents modulate at the start of the generator, a depthwise convolution that collapses the
last maps of the discriminator; bilinear resampling beside 1x1 convolutions; the label's embedding appended to the
latents. It is meant to be trained with the relativistic loss and r1 and r2.

Simplified by default, and as in the authors' code where the settings in brackets say so: channels double inwards from
`width`, where the paper has 768 in every stage up to 32 pixels (`deepest` 1); maps are halved by the mean of 2x2, which
is bilinear interpolation without the wider filter [1, 3, 3, 1] (`resampling` "filter"); images end in tanh (`output`
"linear"); the generator reads the label one-hot (`generator_labels` "embedding"); the head is that of all families
here, where the authors multiply an embedding of the label with a linear map of the features (`discriminator_labels`
"product").
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import EmbeddedLatents, LabelledImages, LabelledLatents
from advgan.models.layers.doubling import depths, resolutions
from advgan.models.layers.filtered import FilteredDoubling, FilteredHalving
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.verdict import Verdict, judged_classes

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""Keeps the mean square of activations behind the LeakyReLU (He et al., 2015)."""
BLOCKS, EXPANSION, GROUP_CHANNELS = 2, 2, 16
"""Blocks a stage, how far a block widens its maps, and channels of a group in it."""


class ResidualBlock(nn.Module):
    """Three convolutions with a skip connection on maps (N, C, H, W); the identity at first, as the last starts at 0.

    The other two are drawn at He's scale times L^(-1/4) in a network of L blocks: L^(-1/(2m-2)) for m = 3 layers
    (Zhang et al., 2019).
    """

    def __init__(self, channels: int, *, num_blocks: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        groups = math.gcd(wide, max(1, wide // GROUP_CHANNELS))
        self.widen = nn.Conv2d(channels, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=groups)
        self.narrow = nn.Conv2d(wide, channels, 1, bias=False)
        self.bend = nn.LeakyReLU(SLOPE)
        for layer, gain in ((self.widen, GAIN), (self.mix, GAIN), (self.narrow, 0.0)):
            _draw(layer, gain * num_blocks**-0.25)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.bend(self.mix(self.bend(self.widen(maps))))
        added: Tensor = maps + self.narrow(residual)
        return added


class Basis(nn.Module):
    """A learnt constant (C, side, side), each channel scaled by a linear map of the latents: (N, D) to (N, C, ...)."""

    def __init__(self, inputs: int, channels: int, side: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(channels, side, side))
        self.modulate = nn.Linear(inputs, channels, bias=False)
        _draw(self.modulate, 1)

    def forward(self, latents: Tensor) -> Tensor:
        return self.constant * self.modulate(latents)[:, :, None, None]


class R3ganGenerator(nn.Module):
    """Latents to signed images through residual stages, each at twice the side of the one before."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        told = EmbeddedLatents if networks.generator_labels == "embedding" else LabelledLatents
        self.inputs = told(self.space.dim, num_classes=shape.num_classes)
        maps, sides = depths(shape.size, networks.width, deepest=networks.deepest), resolutions(shape.size)
        layers = [Basis(self.inputs.width, maps[0], sides[0]), *_blocks(maps[0], len(maps))]
        for (before, after), side in zip(pairwise(maps), sides, strict=False):
            layers += [*_pointwise(before, after), _doubling(side, networks), *_blocks(after, len(maps))]
        last = nn.Conv2d(maps[-1], shape.channels, 1, bias=False)
        _draw(last, 1)
        self.layers = nn.Sequential(*layers, last, nn.Identity() if networks.output == "linear" else nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.inputs(latents, labels))
        return images


class R3ganDiscriminator(Judge):
    """Signed images to logits through residual stages, the mirror image of the generator; fit for any penalty.

    At the start its features are linear in the image, since every residual branch is 0.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        maps = depths(shape.size, networks.width, deepest=networks.deepest)[::-1]
        sides = resolutions(shape.size)[::-1]
        first = nn.Conv2d(shape.channels + self.inputs.extra, maps[0], 1, bias=False)
        _draw(first, 1)
        layers = [first, *_blocks(maps[0], len(maps))]
        for (before, after), side in zip(pairwise(maps), sides, strict=False):
            layers += [_halving(side, networks), *_pointwise(before, after), *_blocks(after, len(maps))]
        collapse = nn.Conv2d(maps[-1], maps[-1], sides[-1], groups=maps[-1], bias=False)
        _draw(collapse, 1)
        self.layers = nn.Sequential(*layers, collapse)
        self.batch = MinibatchFeatures((maps[-1], 1, 1), networks)
        self.head = Verdict(maps[-1], networks=networks, num_classes=shape.num_classes)
        if networks.discriminator_labels == "product":
            _draw_product(self.head, num_classes=shape.num_classes)


def _doubling(side: int, networks: GanNetworks) -> nn.Module:
    if networks.resampling == "filter":
        return FilteredDoubling(side)
    return nn.Upsample(scale_factor=2, mode="bilinear")


def _halving(side: int, networks: GanNetworks) -> nn.Module:
    return FilteredHalving(side) if networks.resampling == "filter" else nn.AvgPool2d(2)


def _blocks(channels: int, num_stages: int) -> list[nn.Module]:
    return [ResidualBlock(channels, num_blocks=BLOCKS * num_stages) for _ in range(BLOCKS)]


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1x1 convolution where the number of channels changes."""
    if inputs == outputs:
        return []
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    _draw(layer, 1)
    return [layer]


def _draw_product(head: Verdict, *, num_classes: int) -> None:
    """Draw the linear map as all others, and the embedding such that the sum over features has the scale of one."""
    assert isinstance(head.linear, nn.Linear)
    _draw(head.linear, 1)
    if isinstance(head.embedding, nn.Embedding):
        nn.init.normal_(head.embedding.weight, 0, (num_classes * head.linear.out_features) ** -0.5)


def _draw(layer: nn.Linear | nn.Conv2d, gain: float) -> None:
    """Draw weights from N(0, gain^2 / inputs of an output), and set biases to 0."""
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
