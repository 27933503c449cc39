"""LAPGAN (Denton et al., 2015): a GAN of small images, and a GAN of residuals for each doubling of them.

The levels are trained independently: each generator gets the real coarse image, and its discriminator judges image and
residual. So both players train on Laplacian pyramids, here one flat row (N, F) for all levels; only sampling chains
the generators. As in the paper the coarsest level is an MLP; labels are inputs at every level.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.gans.dcgan import DcganDiscriminator
from advgan.models.gans.mlp_gan import MlpDiscriminator, MlpGenerator
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages
from advgan.models.layers.normalization import batch_norm
from advgan.models.layers.pyramid import Level, decompose, enlarge, pyramid_sides
from advgan.models.layers.verdict import Verdict, judged_classes


class ResidualGenerator(nn.Module):
    """Generate the residual of an enlarged image from noise (N, D), that image and its label, by three convolutions.

    Noise and label enter as planes beside the image, each by a linear map. The residual is not bounded.
    """

    def __init__(self, noise_dim: int, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.inputs = LabelledImages(shape.size, num_classes=shape.num_classes)
        self.side = shape.size
        self.plane = nn.Linear(noise_dim, shape.size**2, bias=False)
        # Of the scale of the image: noise that starts small is learnt to be ignored.
        nn.init.normal_(self.plane.weight, 0, noise_dim**-0.5)
        maps = 2 * networks.width
        self.layers = nn.Sequential(
            nn.Conv2d(shape.channels + 1 + self.inputs.extra, maps, 5, 1, 2),
            _norm(maps, networks),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 5, 1, 2),
            _norm(maps, networks),
            nn.ReLU(),
            nn.Conv2d(maps, shape.channels, 5, 1, 2),
        )

    def forward(self, noise: Tensor, coarse: Tensor, labels: Tensor | None) -> Tensor:
        plane = self.plane(noise).view(-1, 1, self.side, self.side)
        residual: Tensor = self.layers(torch.cat([self.inputs(coarse, labels), plane], dim=1))
        return residual


class LapganGenerator(nn.Module):
    """Latents to signed images: each level has its own part of the latents and adds its residual to the level below.

    Sums are clipped to [-1, 1] after every level, the range of the coarse images in training.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        self.sides = pyramid_sides(shape.size)
        self.parts = _parts(self.space.dim, len(self.sides))
        self.coarsest = MlpGenerator(_dense(networks, self.parts[0]), shape._replace(size=self.sides[0]))
        self.finer = nn.ModuleList(
            ResidualGenerator(part, networks, shape._replace(size=side))
            for part, side in zip(self.parts[1:], self.sides[1:], strict=True)
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        first, *others = latents.split(self.parts, dim=1)
        images: Tensor = self.coarsest(first, labels)
        for draw, noise, side in zip(self.finer, others, self.sides[1:], strict=True):
            coarse = enlarge(images, side)
            images = (coarse + draw(noise, coarse, labels)).clamp(-1, 1)
        return images

    def exhibit(self, images: Tensor) -> Tensor:
        """The pyramid of real images: (N, C, H, W) to (N, F)."""
        return _flat(*decompose(images))

    def practise(self, latents: Tensor, labels: Tensor | None, real: Tensor) -> Tensor:
        """The pyramid of `real` with a generated image and generated residuals: (N, F).

        Every residual is drawn given the real coarse image, so no level depends on another.
        """
        first, *others = latents.split(self.parts, dim=1)
        _, levels = decompose(real)
        drawn = [
            Level(level.coarse, draw(noise, level.coarse, labels))
            for draw, noise, level in zip(self.finer, others, levels, strict=True)
        ]
        return _flat(self.coarsest(first, labels), drawn)


@dataclass(frozen=True)
class PyramidVerdict:
    """Read each level's logit from its part of the features: (N, D) to (N * levels,), the levels of a sample together.

    So the mean of a loss over logits is the mean over levels of their losses, and each level learns by its own.
    """

    heads: Sequence[Verdict]
    widths: Sequence[int]
    names_classes = False
    num_codes = 0

    def __call__(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        parts = features.split(list(self.widths), dim=1)
        logits = [head(part, labels) for head, part in zip(self.heads, parts, strict=True)]
        return torch.stack(logits, dim=1).flatten()

    def classify(self, features: Tensor) -> Tensor:
        """Not there: no level names classes."""
        raise AssertionError

    def guess(self, features: Tensor) -> Tensor:
        """Not there: no level guesses codes."""
        raise AssertionError


class LapganDiscriminator(nn.Module):
    """Judge the levels of a pyramid, each by a discriminator of its own.

    Flat pyramids (N, F), as a LapganGenerator shows them, give a logit a level, (N * levels,), a sample's levels
    together; images (N, C, H, W) are taken apart first, and give the mean of their levels' logits, (N,). `features`
    takes either. A finer level sees coarse + residual with the residual beside it.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        self.channels, self.sides = shape.channels, pyramid_sides(shape.size)
        pair = shape._replace(channels=2 * shape.channels)
        self.coarsest = MlpDiscriminator(_dense(networks), shape._replace(size=self.sides[0]))
        self.finer = nn.ModuleList(DcganDiscriminator(networks, pair._replace(size=side)) for side in self.sides[1:])

    @property
    def critics(self) -> list[MlpDiscriminator | DcganDiscriminator]:
        """The levels' discriminators from the coarsest up."""
        return [self.coarsest, *cast(Iterable[DcganDiscriminator], self.finer)]

    @property
    def head(self) -> PyramidVerdict:
        """The heads of all levels."""
        heads = [critic.head for critic in self.critics]
        return PyramidVerdict(heads, [critic.batch.num_features for critic in self.critics])

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        coarsest, levels = decompose(images) if images.dim() == 4 else self._unpacked(images)
        pairs = [torch.cat([level.coarse + level.residual, level.residual], dim=1) for level in levels]
        shown = zip(self.critics, [coarsest, *pairs], strict=True)
        return torch.cat([critic.features(seen, labels) for critic, seen in shown], dim=1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.features(images, labels), labels)
        return logits.view(len(images), -1).mean(dim=1) if images.dim() == 4 else logits

    def _unpacked(self, flat: Tensor) -> tuple[Tensor, list[Level]]:
        """Undo `_flat`."""
        sides = [self.sides[0], *(side for side in self.sides[1:] for _ in range(2))]
        pieces = flat.split([self.channels * side**2 for side in sides], dim=1)
        coarsest, *others = (
            piece.unflatten(1, (self.channels, side, side)) for piece, side in zip(pieces, sides, strict=True)
        )
        return coarsest, [Level(*pair) for pair in zip(others[::2], others[1::2], strict=True)]


def _flat(coarsest: Tensor, levels: list[Level]) -> Tensor:
    """One row for each image: the coarsest image, then of each level coarse and residual."""
    return torch.cat([part.flatten(1) for part in (coarsest, *(part for level in levels for part in level))], dim=1)


def _parts(dim: int, levels: int) -> list[int]:
    """Share latents out equally; the coarsest level, which decides most, has what remains."""
    if dim < levels:
        raise ValueError(f"networks.latent_dim {dim} leaves levels of the pyramid without noise: use {levels} and more")
    return [dim - (levels - 1) * (dim // levels), *[dim // levels] * (levels - 1)]


def _dense(networks: GanNetworks, latent_dim: int | None = None) -> GanNetworks:
    """The coarsest level's: 32 units for each of `width`, about as many beside the convolutions as in the paper."""
    parts = {"width": 4 * networks.width, "latent_dim": latent_dim or networks.latent_dim}
    return networks.model_copy(update=parts)


def _norm(channels: int, networks: GanNetworks) -> nn.Module:
    return batch_norm(channels, networks) if networks.generator_norm == "batch" else nn.Identity()
