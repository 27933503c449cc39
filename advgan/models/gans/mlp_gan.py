"""The vanilla GAN: both players are perceptrons with two hidden layers (Goodfellow et al., 2014)."""

from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages, LabelledLatents
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes


class MlpGenerator(nn.Module):
    """Latents to signed images of any size through two hidden layers, LeakyReLU inside and tanh at the end."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        self.inputs = LabelledLatents(self.space.dim, num_classes=shape.num_classes)
        units = 8 * networks.width
        self.layers = nn.Sequential(
            nn.Linear(self.inputs.width, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, shape.channels * shape.size**2),
            nn.Tanh(),
            nn.Unflatten(1, (shape.channels, shape.size, shape.size)),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.inputs(latents, labels))
        return images


class MlpDiscriminator(Judge):
    """Signed images of any size to logits through two hidden layers, without norms of maps: fit for any penalty."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        units = 8 * networks.width
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear((shape.channels + self.inputs.extra) * shape.size**2, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, units),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (units, 1, 1)),
        )
        self.batch = MinibatchFeatures((units, 1, 1), networks)
        self.head = Verdict(self.batch.num_features, networks=networks, num_classes=shape.num_classes)
        if networks.discriminator_norm == "spectral":
            constrain(self)
