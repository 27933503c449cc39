"""Hyperparameters that change over the steps of a GAN's training."""

from pydantic import Field

from advgan.config.section import Positive, Section, Share


class Ramp(Section):
    """End values of hyperparameters that move along half a cosine; None: constant (Huang et al., 2024)."""

    steps: int | None = Field(default=None, ge=1)
    """Generator steps until the end is reached, where the values then stay; None: all steps of the training."""
    learning_rate: Share | None = None
    """Final share of both learning rates."""
    penalties: Positive | None = None
    """Final share of the weights of r1 and r2."""
    beta2: float | None = Field(default=None, ge=0, lt=1)
    """Adam's final beta2."""
    half_life: Positive | None = None
    """Images after which the averaged generator has forgotten half; it starts at 0 and replaces `average_decay`."""
    augmentation: Share | None = None
    """Share of augmented images, from 0."""
