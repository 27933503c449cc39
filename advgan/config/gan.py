"""The networks of a GAN and how they are trained."""

from typing import Literal

from pydantic import Field, model_validator

from advgan.config.section import Positive, Section, Share


class GanNetworks(Section):
    """A generator and its discriminator. Their image size, channels and classes come from the data."""

    family: Literal["mlp", "dcgan"] = "dcgan"
    width: int = Field(default=32, ge=1)
    """Units (mlp, times 8) or channels (dcgan) of the layer nearest to the image."""
    latent_dim: int = Field(default=64, ge=1)
    latent_kind: Literal["normal", "uniform"] = "normal"
    """`normal`: N(0, 1); `uniform`: U(-1, 1)."""
    conditional: bool = False
    """Give the class label to both networks."""


class GanTraining(Section):
    """The training recipe of a GAN."""

    loss: Literal["minimax", "non-saturating", "hinge", "least-squares", "wasserstein"] = "non-saturating"
    gradient_penalty: float | None = Field(default=None, ge=0)
    """Weight of the penalty on the critic's gradient norm; None: 10 for `wasserstein`, 0 for the others."""
    steps: int = Field(default=2000, ge=1)
    """Generator steps."""
    discriminator_steps: int = Field(default=1, ge=1)
    """Discriminator steps before each generator step."""
    batch_size: int = Field(default=64, ge=2)
    generator_learning_rate: Positive = 2e-4
    discriminator_learning_rate: Positive = 2e-4
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    average_decay: Share = 0.999
    """Decay of the averaged generator, which is what is sampled and scored; 0: the live generator itself."""
    seed: int = Field(default=0, ge=0)

    @property
    def penalty_weight(self) -> float:
        """The gradient penalty that is in force."""
        if self.gradient_penalty is not None:
            return self.gradient_penalty
        return 10.0 if self.loss == "wasserstein" else 0.0

    @model_validator(mode="after")
    def _wasserstein_needs_a_penalty(self) -> "GanTraining":
        if self.loss == "wasserstein" and self.penalty_weight == 0:
            raise ValueError(
                "loss wasserstein needs gradient_penalty > 0 (10 is usual): its critic must be 1-Lipschitz"
            )
        return self
