"""Residual blocks that double or halve maps, and their number and widths for an image size.

Up to 32 pixels all maps have one width, as the networks for CIFAR-10 have; for larger images it doubles from the image
inwards up to 16 times, as in the networks for STL-10 and ImageNet (Miyato et al., 2018; Brock et al., 2019).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.layers.conditioning import LabelledImages
from advgan.models.layers.doubling import resolutions
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.normalization import generator_norm
from advgan.models.layers.verdict import judged_classes

SMALL = 32
"""The largest side of images whose maps all have one width."""


def generator_maps(size: int, width: int, *, small: int) -> list[int]:
    """Channels of a generator's maps from the base to the image; `small`: multiple of `width` up to 32 pixels."""
    return [width * (small if size <= SMALL else min(size // side, 16)) for side in resolutions(size)]


class Stage(NamedTuple):
    """A block of a discriminator: the channels that it gives, and whether it halves the side."""

    channels: int
    halves: bool


def discriminator_stages(size: int, width: int, *, small: int) -> list[Stage]:
    """Blocks of a discriminator from the image inwards.

    Up to 32 pixels two blocks halve (one at 8 to 14) and two do not; above, all halve down to the base but the last.
    """
    halvings = len(resolutions(size)) - 1
    if size <= SMALL:
        halvings = min(halvings, 2)
        return [Stage(small * width, index < halvings) for index in range(halvings + 2)]
    return [Stage(width * min(2**index, 16), index < halvings) for index in range(halvings + 1)]


class DoublingConvolution(nn.Conv2d):
    """Double maps by nearest neighbour, then convolve by 3x3, in one transposed convolution.

    Each pixel meets its copies under neighbouring entries of the kernel, so their sums are the entries of a 4x4 kernel
    of stride 2: the same result from 4 products a pixel instead of 9, and no doubled maps in memory.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        kernel = overlapped(self.weight).flip(2, 3).transpose(0, 1)
        return conv_transpose2d(input, kernel, self.bias, stride=2, padding=1)


class BilinearConvolution(nn.Conv2d):
    """Double maps bilinearly, then convolve by 3x3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        doubled = interpolate(input, scale_factor=2, mode="bilinear")
        return conv2d(doubled, self.weight, self.bias, padding=1)


class HalvingConvolution(nn.Conv2d):
    """Convolve maps by 3x3, then halve them by the mean of each 2x2, in one convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, overlapped(self.weight, mean=True), self.bias, stride=2, padding=1)


def overlapped(weight: Tensor, *, mean: bool = False) -> Tensor:
    """Add (or average) the four placements of kernels (..., 3, 3) in (..., 4, 4): rows first, then columns."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # a trace knows operators alone
        return _placed(weight, mean=mean)
    kernel: Tensor = _Overlapped.apply(weight, weight, mean)
    return kernel


def _placed(weight: Tensor, *, mean: bool) -> Tensor:
    kernel = avg_pool2d(avg_pool2d(weight, (2, 1), 1, (1, 0)), (1, 2), 1, (0, 1))
    return kernel if mean else 4 * kernel  # not by divisor_override, which exports to ONNX leave out


class _Overlapped(torch.autograd.Function):
    """`overlapped` of a weight that is passed twice, so that autograd adds the gradients of its two row placements.

    Where several passes share a kernel, its gradients are then summed in the same order as with separate operators for
    each placement, which keeps results equal to the bit.
    """

    @staticmethod
    def forward(ctx: Any, above: Tensor, below: Tensor, mean: bool) -> Tensor:
        ctx.mean = mean
        return _placed(above, mean=mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        if ctx.mean:
            rows = avg_pool2d(gradient, (1, 2), 1, divisor_override=4)
        else:  # in the layout of the gradient, which orders later sums
            rows = gradient[..., :-1] + gradient[..., 1:]
        return rows[..., 1:, :], rows[..., :-1, :], None


class GeneratorBlock(nn.Module):
    """Norm, ReLU, doubling convolution, norm, ReLU, convolution, added to the input doubled through a 1x1 convolution.

    The 1x1 convolution comes before the doubling, with which it commutes.
    """

    def __init__(self, inputs: int, outputs: int, networks: GanNetworks, *, condition_dim: int = 0) -> None:
        super().__init__()
        self.resampling = "bilinear" if networks.resampling == "bilinear" else "nearest"
        self.norm1 = generator_norm(inputs, networks, condition_dim=condition_dim)
        double = BilinearConvolution if self.resampling == "bilinear" else DoublingConvolution
        self.conv1 = double(inputs, outputs)
        self.norm2 = generator_norm(outputs, networks, condition_dim=condition_dim)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) and the condition of the norms (N, D) to (N, outputs, 2H, 2W)."""
        hidden = self.conv1(self.norm1(maps, condition).relu())
        hidden = self.conv2(self.norm2(hidden, condition).relu())
        return hidden + interpolate(self.shortcut(maps), scale_factor=2, mode=self.resampling)


class DiscriminatorBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution that halves or not, added to the input halved alike; without norms.

    The `first` block sees the image and has no ReLU before it. Both convolutions are as wide as the result. ReLU must
    leave the maps as they are, for the shortcut takes them too, unless it is `rectified`.
    """

    def __init__(self, inputs: int, stage: Stage, *, first: bool, rectified: bool = False) -> None:
        super().__init__()
        outputs, self.halves = stage
        self.first, self.rectified = first, rectified
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = HalvingConvolution(outputs, outputs) if self.halves else nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if self.halves or inputs != outputs else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), or half their side."""
        if self.rectified and not self.first:
            maps = maps.relu()
        hidden: Tensor = self.conv2(self.conv1(maps if self.first or self.rectified else maps.relu()).relu())
        shortcut: Tensor = self.shortcut(avg_pool2d(maps, 2) if self.halves else maps)
        return hidden + shortcut


class ResidualTrunk(nn.Module):
    """Signed images to features (N, num_features): residual blocks, ReLU and the sum over places, or their mean.

    `after_first` is a layer of the first block's maps, which have half the side of the image.
    """

    def __init__(
        self, networks: GanNetworks, shape: Shape, stages: list[Stage], *, after_first: nn.Module | None = None
    ) -> None:
        super().__init__()
        joined = judged_classes(networks, shape) if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        channels = [shape.channels + self.inputs.extra, *(stage.channels for stage in stages)]
        blocks: list[nn.Module] = [
            DiscriminatorBlock(inputs, stage, first=index == 0, rectified=networks.rectified_shortcuts)
            for index, (inputs, stage) in enumerate(zip(channels[:-1], stages, strict=True))
        ]
        if after_first is not None:
            blocks.insert(1, after_first)
        self.blocks = nn.Sequential(*blocks)
        self.pool = torch.mean if networks.pooling == "mean" else torch.sum
        self.batch = MinibatchFeatures((channels[-1], 1, 1), networks)
        self.num_features = self.batch.num_features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        maps: Tensor = self.blocks(self.inputs(images, labels))
        features: Tensor = self.batch(self.pool(maps.relu(), dim=(2, 3), keepdim=True))
        return features
