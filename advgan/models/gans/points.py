"""Networks for points of few dimensions, as images (N, D, 1, 1) of one pixel (Lin et al., 2018, section 4.1).

With width 100 they are those of the synthetic experiments of PacGAN, which has them from Dumoulin et al. (2017).
"""

from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages, LabelledLatents
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes

PIECES = 5
"""Linear pieces of a maxout unit."""


class Maxout(nn.Module):
    """The largest of `PIECES` linear functions for each unit (Goodfellow et al., 2013): (N, D) to (N, units)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.linear = nn.Linear(inputs, units * PIECES)

    def forward(self, features: Tensor) -> Tensor:
        pieces: Tensor = self.linear(features).unflatten(1, (self.units, PIECES))
        return pieces.amax(dim=2)


class PointsGenerator(nn.Module):
    """Latents to points (N, D, 1, 1) through two hidden layers of 4 * width ReLU units with batch norm.

    The output is linear: unlike images, points may lie beyond [-1, 1].
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        self.inputs = LabelledLatents(self.space.dim, num_classes=shape.num_classes)
        units, is_normed = 4 * networks.width, networks.generator_norm == "batch"
        self.layers = nn.Sequential(
            nn.Linear(self.inputs.width, units),
            nn.BatchNorm1d(units) if is_normed else nn.Identity(),
            nn.ReLU(),
            nn.Linear(units, units),
            nn.BatchNorm1d(units) if is_normed else nn.Identity(),
            nn.ReLU(),
            nn.Linear(units, shape.channels),
            nn.Unflatten(1, (shape.channels, 1, 1)),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        points: Tensor = self.layers(self.inputs(latents, labels))
        return points


class PointsDiscriminator(Judge):
    """Points (N, D, 1, 1) to logits through three hidden layers of 2 * width maxout units, which need no norm."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        units = 2 * networks.width
        self.layers = nn.Sequential(
            nn.Flatten(),
            Maxout(shape.channels + self.inputs.extra, units),
            Maxout(units, units),
            Maxout(units, units),
            nn.Unflatten(1, (units, 1, 1)),
        )
        self.batch = MinibatchFeatures((units, 1, 1), networks)
        self.head = Verdict(self.batch.num_features, networks=networks, num_classes=shape.num_classes)
        if networks.discriminator_norm == "spectral":
            constrain(self)
