"""Generative models that a GAN is compared with."""

from typing import Literal

from pydantic import Field

from advgan.config.section import Positive, Section


class Baseline(Section):
    """A variational autoencoder or a Gaussian mixture, and how it is fitted."""

    kind: Literal["vae", "gaussian-mixture"] = "vae"
    latent_dim: int = Field(default=32, ge=1, le=1 << 16)
    """Length of the code (vae), or principal components that are modelled (gaussian-mixture), as many as there are."""
    width: int = Field(default=32, ge=1, le=1 << 14)
    """Channels next to the image (vae)."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """Likelihood of pixels given the code (vae): Bernoulli on grey levels in [0, 1], or normal with one learnt std."""
    components: int = Field(default=50, ge=1, le=1 << 20)
    """Gaussians (gaussian-mixture)."""
    steps: int = Field(default=2000, ge=1)
    """Steps of gradient descent (vae), or the most iterations of EM (gaussian-mixture)."""
    batch_size: int = Field(default=64, ge=2)
    """Batch size of a vae."""
    learning_rate: Positive = 1e-3
    """Learning rate (Adam) of a vae."""
    seed: int = Field(default=0, ge=0)

    @property
    def family(self) -> str:
        """What results call it."""
        return self.kind
