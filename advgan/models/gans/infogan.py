"""The networks of InfoGAN for MNIST (Chen et al., 2016, appendix C.1): two convolutions and a wide hidden layer.

The hidden layer sees the whole image at once, which a code for its class needs: with DCGAN's networks, which end in
small maps, the categorical code became one of style. Width 64 is the paper's.
"""

from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.gans.dcgan import initialize, joining_kernel
from advgan.models.interface import Shape
from advgan.models.latents import LatentSpace
from advgan.models.layers.conditioning import LabelledImages, LabelledLatents
from advgan.models.layers.judge import Judge
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.normalization import discriminator_norm, generator_norm
from advgan.models.layers.spectral import constrain
from advgan.models.layers.verdict import Verdict, judged_classes

HIDDEN = 16
"""Units of the hidden layer, times the width."""
READER = 2
"""Units of the layer that reads codes, times the width."""
SLOPE = 0.1


class InfoganGenerator(nn.Module):
    """Latents to signed images: two linear layers, two transposed convolutions."""

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.space = LatentSpace.of(networks)
        self.num_classes = shape.num_classes
        self.inputs = LabelledLatents(self.space.dim, num_classes=shape.num_classes)
        half, quarter = _halved(shape.size)
        hidden, width = HIDDEN * networks.width, networks.width
        self.layers = nn.Sequential(
            nn.Linear(self.inputs.width, hidden, bias=False),
            nn.Unflatten(1, (hidden, 1, 1)),
            generator_norm(hidden, networks),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(hidden, 2 * width * quarter**2, bias=False),
            nn.Unflatten(1, (2 * width, quarter, quarter)),
            generator_norm(2 * width, networks),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, joining_kernel(half), 2, 1, bias=False),
            generator_norm(width, networks),
            nn.ReLU(),
            nn.ConvTranspose2d(width, shape.channels, joining_kernel(shape.size), 2, 1),
            nn.Tanh(),
        )
        initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.inputs(latents, labels))
        return images


class InfoganDiscriminator(Judge):
    """Signed images to logits: two strided convolutions, a hidden layer, and one more before the codes are read.

    Its batch norm takes the statistics of the batch at hand in eval mode too, like DCGAN's.
    """

    def __init__(self, networks: GanNetworks, shape: Shape) -> None:
        super().__init__()
        self.num_classes = judged_classes(networks, shape)
        joined = self.num_classes if networks.discriminator_labels == "concat" else 0
        self.inputs = LabelledImages(shape.size, num_classes=joined)
        half, quarter = _halved(shape.size)
        hidden, width = HIDDEN * networks.width, networks.width
        self.layers = nn.Sequential(
            nn.Conv2d(shape.channels + self.inputs.extra, width, joining_kernel(shape.size), 2, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, joining_kernel(half), 2, 1, bias=False),
            discriminator_norm(2 * width, networks),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(2 * width * quarter**2, hidden, bias=False),
            nn.Unflatten(1, (hidden, 1, 1)),
            discriminator_norm(hidden, networks),
            nn.LeakyReLU(SLOPE),
        )
        self.batch = MinibatchFeatures((hidden, 1, 1), networks)
        reader = nn.Sequential(
            nn.Linear(self.batch.num_features, READER * width, bias=False),
            nn.Unflatten(1, (READER * width, 1, 1)),
            discriminator_norm(READER * width, networks),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
        )
        self.head = Verdict(
            self.batch.num_features,
            networks=networks,
            num_classes=shape.num_classes,
            reader=reader,
            num_read=READER * width,
        )
        initialize(self)
        if networks.discriminator_norm == "spectral":
            constrain(self)


def _halved(size: int) -> tuple[int, int]:
    """The sides of the maps inside: a half and a quarter of the image's, rounded up."""
    half = (size + 1) // 2
    return half, (half + 1) // 2
