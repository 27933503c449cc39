"""What changes in the course of a GAN's training."""

from pydantic import Field

from advgan.config.section import Positive, Section, Share


class Ramp(Section):
    """Where values end that move along half a cosine; what is None stays as it is (Huang et al., 2024)."""

    steps: int | None = Field(default=None, ge=1)
    """Generator steps until the end is reached, where the values then stay; None: all steps of the training."""
    learning_rate: Share | None = None
    """Share of both learning rates."""
    penalties: Positive | None = None
    """Share of the weights of r1 and r2."""
    beta2: float | None = Field(default=None, ge=0, lt=1)
    """Of Adam."""
    half_life: Positive | None = None
    """Images after which the averaged generator has forgotten half; it starts at 0 and replaces `average_decay`."""
    augmentation: Share | None = None
    """Share of augmented images, from 0."""
