"""The vanilla GAN: both players are perceptrons with two hidden layers (Goodfellow et al., 2014)."""

from torch import Tensor, nn

from advgan.models.conditioning import LabelledLatents, ProjectionHead


class MlpGenerator(nn.Module):
    """Latents to signed images of any size through two hidden layers, LeakyReLU inside and tanh at the end."""

    def __init__(
        self, *, size: int, channels: int, num_classes: int, latent_dim: int, latent_kind: str, units: int
    ) -> None:
        super().__init__()
        self.latent_dim, self.latent_kind, self.num_classes = latent_dim, latent_kind, num_classes
        self.inputs = LabelledLatents(latent_dim, num_classes=num_classes)
        self.layers = nn.Sequential(
            nn.Linear(self.inputs.width, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, channels * size * size),
            nn.Tanh(),
            nn.Unflatten(1, (channels, size, size)),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.inputs(latents, labels))
        return images


class MlpDiscriminator(nn.Module):
    """Signed images of any size to logits through two hidden layers, without normalisation: fit for any penalty."""

    def __init__(self, *, size: int, channels: int, num_classes: int, units: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, units),
            nn.LeakyReLU(0.2),
            nn.Linear(units, units),
            nn.LeakyReLU(0.2),
        )
        self.head = ProjectionHead(units, num_classes=num_classes)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.features(images), labels)
        return logits
