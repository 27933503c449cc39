"""The variational autoencoder (Kingma and Welling, 2013) with the strided convolutions of a DCGAN."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advgan.config.baseline import Baseline
from advgan.models.gans.dcgan import depths, sides
from advgan.models.latents import LatentSpace


class Vae(nn.Module):
    """Signed images to a normal distribution of codes, and codes to images; the decoder alone is the generator.

    Works from 8 pixels up: raises ValueError below.
    """

    def __init__(self, baseline: Baseline, *, size: int, channels: int) -> None:
        super().__init__()
        if size < 8:
            raise ValueError(f"a vae draws images from 8 pixels up, these have {size}: choose kind gaussian-mixture")
        self.encoder = VaeEncoder(baseline, size=size, channels=channels)
        self.decoder = VaeDecoder(baseline, size=size, channels=channels)
        self.log_deviation = nn.Parameter(torch.zeros(()))
        """Log standard deviation of each pixel around the decoder's image in [-1, 1], for the Gaussian likelihood."""
        self.is_bernoulli = baseline.likelihood == "bernoulli"

    def bound(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The two parts of the negative evidence lower bound of signed images, in nats each: (N,), (N,).

        The first is -log p(image | code) at the code that standard normal `noise` (N, latent_dim) picks, the second
        KL(code of the image || N(0, 1)).
        """
        mean, log_variance = self.encoder(images)
        logits = self.decoder.logits(mean + (log_variance / 2).exp() * noise)
        if self.is_bernoulli:
            lost = F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none")
        else:
            lost = normal_loss(images, squash(logits), self.log_deviation)
        return lost.flatten(1).sum(dim=1), divergence(mean, log_variance)


class VaeEncoder(nn.Module):
    """Signed images to the mean and the log variance of their codes: (N, latent_dim) each."""

    def __init__(self, baseline: Baseline, *, size: int, channels: int) -> None:
        super().__init__()
        maps, inputs = depths(size, baseline.width), sides(size)
        layers: list[nn.Module] = []
        for level, (narrow, wide) in enumerate(zip([channels, *maps], maps, strict=False)):
            layers += [nn.Conv2d(narrow, wide, _kernel(inputs[level]), 2, 1), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(maps[-1] * inputs[-1] ** 2, 2 * baseline.latent_dim)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(images).chunk(2, dim=1)
        return mean, log_variance


class VaeDecoder(nn.Module):
    """Codes to signed images: a `Generator` without classes."""

    num_classes = 0

    def __init__(self, baseline: Baseline, *, size: int, channels: int) -> None:
        super().__init__()
        self.space = LatentSpace(baseline.latent_dim)
        maps, outputs = depths(size, baseline.width), sides(size)
        layers: list[nn.Module] = [
            nn.Linear(baseline.latent_dim, maps[-1] * outputs[-1] ** 2),
            nn.Unflatten(1, (maps[-1], outputs[-1], outputs[-1])),
        ]
        for level in range(len(maps) - 1, -1, -1):
            narrow = maps[level - 1] if level else channels
            layers += [
                nn.BatchNorm2d(maps[level]),
                nn.ReLU(),
                nn.ConvTranspose2d(maps[level], narrow, _kernel(outputs[level]), 2, 1),
            ]
        self.layers = nn.Sequential(*layers)

    def logits(self, latents: Tensor) -> Tensor:
        """Log-odds of white for each pixel: (N, C, H, W)."""
        logits: Tensor = self.layers(latents)
        return logits

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return squash(self.logits(latents))


def squash(logits: Tensor) -> Tensor:
    """Log-odds to the signed image of their probabilities, 2 sigmoid - 1."""
    return (logits / 2).tanh()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over the columns of (N, D): (N,)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2


def normal_loss(values: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """-log N(value; mean, deviation) in nats, of each element; its deviation is learnt (Rybkin et al., 2021)."""
    scaled = (values - mean) * (-log_deviation).exp()
    return scaled.square() / 2 + log_deviation + math.log(2 * math.pi) / 2


def _kernel(side: int) -> int:
    """The kernel that joins a map of this side to the next smaller one exactly (as `dcgan.joining_kernel`)."""
    return 4 - side % 2
