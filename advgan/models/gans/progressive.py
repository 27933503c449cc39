"""Progressive growing (Karras et al., 2018): both networks start at 4 to 7 pixels and double as training goes on.

As in the paper: equalised learning rates, pixel norm in the generator, latents normalised together with the embedding
of the label, the standard deviation of the batch before the last layers of the discriminator (`minibatch` deviation),
and a new stage that is faded in, in the real images too. Otherwise: images end in tanh, which keeps them in range, the
head is that of all families here, and `depths` caps the channels at 8 times the width instead of at 512.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages, LabelledLatents
from advgan.models.layers.doubling import depths, enlarge, resolutions, shrink
from advgan.models.layers.equalised import EqualisedConv2d, EqualisedLinear, PixelNorm
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchDeviation
from advgan.models.layers.verdict import Verdict, judged_classes


class Level(NamedTuple):
    """How far a network has grown: its last stage, and that stage's weight `alpha` against the one before."""

    stage: int
    alpha: float


def level(progress: float, num_stages: int) -> Level:
    """The level at a share of training in [0, 1]: 2 S - 1 phases of equal length for S stages.

    Stage 0 is trained alone; then each stage is faded in, alpha rising linearly from 0 to 1, and trained at alpha 1.
    So the last phase is at full size. Raises ValueError for a progress outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress {progress:g} is a share of training: give a number from 0 to 1")
    position = min(progress * (2 * num_stages - 1), 2 * num_stages - 2)
    phase = int(position)
    fades = phase % 2 == 1
    return Level((phase + 1) // 2, position - phase if fades else 1.0)


class Growth(nn.Module):
    """The level of a network, stored in its state dict as the progress (float64 scalar); starts fully grown."""

    def __init__(self, num_stages: int) -> None:
        super().__init__()
        self.num_stages = num_stages
        self.progress = 1.0

    @property
    def level(self) -> Level:
        return level(self.progress, self.num_stages)

    def grow(self, progress: float) -> None:
        level(progress, self.num_stages)
        self.progress = progress

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.progress, dtype=torch.float64)

    def set_extra_state(self, state: Any) -> None:
        self.grow(float(state))


class ProgressiveGenerator(nn.Module):
    """Latents to signed images, always at full size: those of a smaller stage are enlarged by nearest neighbour.

    At alpha 0 they equal the enlarged images of the stage before, bit for bit. Parameters that take no part at a level
    have no gradient.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        self.inputs = LabelledLatents(self.space.dim, num_classes=shape.num_classes)
        self.normalise = PixelNorm()
        self.sides, maps = resolutions(shape.size), depths(shape.size, networks.width)
        self.growth = Growth(len(self.sides))
        self.stages = nn.ModuleList([_seed(self.inputs.width, maps[0], self.sides[0])])
        self.stages.extend(_larger(before, after) for before, after in pairwise(maps))
        self.to_images = nn.ModuleList(
            nn.Sequential(EqualisedConv2d(channels, shape.channels, 1, gain=1), nn.Tanh()) for channels in maps
        )

    def grow(self, progress: float) -> None:
        """Take the level of this share of training, in [0, 1]."""
        self.growth.grow(progress)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        stage, alpha = self.growth.level
        before = maps = self.normalise(self.inputs(latents, labels))
        for larger in list(self.stages)[: stage + 1]:
            before, maps = maps, larger(maps)
        images: Tensor = self.to_images[stage](maps)
        if alpha < 1:
            coarse = self.to_images[stage - 1](before)
            images = torch.lerp(enlarge(coarse, self.sides[stage]), images, alpha)
        return enlarge(images, self.sides[-1])

    def exhibit(self, images: Tensor) -> Tensor:
        """Fade in the detail of real images (N, C, H, W) as that of generated ones, or it would tell them apart.

        Returns signed images of the same shape, with no more detail than this level can generate.
        """
        stage, alpha = self.growth.level
        fine = shrink(images, self.sides[stage])
        if alpha < 1:
            coarse = shrink(fine, self.sides[stage - 1])
            fine = torch.lerp(enlarge(coarse, self.sides[stage]), fine, alpha)
        return enlarge(fine, self.sides[-1])

    def practise(self, latents: Tensor, labels: Tensor | None, real: Tensor) -> Tensor:
        """The generated images themselves, which are faded already."""
        images: Tensor = self(latents, labels)
        return images


class ProgressiveDiscriminator(Judge):
    """Signed images, always of full size, to logits; they are averaged down to the side of the level first."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        self.sides, maps = resolutions(shape.size), depths(shape.size, networks.width)
        self.growth = Growth(len(self.sides))
        self.from_images = nn.ModuleList(
            nn.Sequential(EqualisedConv2d(shape.channels + self.inputs.extra, channels, 1), nn.LeakyReLU(0.2))
            for channels in maps
        )
        self.stages = nn.ModuleList([_last(maps[0], self.sides[0], deviation=networks.minibatch == "deviation")])
        self.stages.extend(_smaller(after, before) for before, after in pairwise(maps))
        self.head = Verdict(maps[0], networks=networks, num_classes=shape.num_classes)

    def grow(self, progress: float) -> None:
        """Take the level of this share of training, in [0, 1]."""
        self.growth.grow(progress)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        stage, alpha = self.growth.level
        images = shrink(self.inputs(images, labels), self.sides[stage])
        maps: Tensor = self.from_images[stage](images)
        if alpha < 1:
            fine, stage = self.stages[stage](maps), stage - 1
            maps = torch.lerp(self.from_images[stage](shrink(images, self.sides[stage])), fine, alpha)
        for smaller in reversed(list(self.stages)[: stage + 1]):
            maps = smaller(maps)
        return maps


def _bent(layer: nn.Module) -> list[nn.Module]:
    return [layer, nn.LeakyReLU(0.2)]


def _seed(inputs: int, channels: int, side: int) -> nn.Module:
    """Latents to the smallest maps."""
    return nn.Sequential(
        EqualisedLinear(inputs, channels * side**2),
        nn.Unflatten(1, (channels, side, side)),
        nn.LeakyReLU(0.2),
        PixelNorm(),
        *_bent(EqualisedConv2d(channels, channels, 3, padding=1)),
        PixelNorm(),
    )


def _larger(inputs: int, outputs: int) -> nn.Module:
    """Double the side of maps."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        *_bent(EqualisedConv2d(inputs, outputs, 3, padding=1)),
        PixelNorm(),
        *_bent(EqualisedConv2d(outputs, outputs, 3, padding=1)),
        PixelNorm(),
    )


def _smaller(inputs: int, outputs: int) -> nn.Module:
    """Halve the side of maps."""
    return nn.Sequential(
        *_bent(EqualisedConv2d(inputs, inputs, 3, padding=1)),
        *_bent(EqualisedConv2d(inputs, outputs, 3, padding=1)),
        nn.AvgPool2d(2),
    )


def _last(channels: int, side: int, *, deviation: bool) -> nn.Module:
    """The smallest maps to features (N, channels)."""
    return nn.Sequential(
        MinibatchDeviation() if deviation else nn.Identity(),
        *_bent(EqualisedConv2d(channels + deviation, channels, 3, padding=1)),
        *_bent(EqualisedConv2d(channels, channels, side)),
        nn.Flatten(),
    )
