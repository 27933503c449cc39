"""Sample sizes of the diagnostics of a GAN's training."""

from pydantic import Field

from advgan.config import Section


class Diagnostics(Section):
    """How many images each diagnostic of a look is made of; all together take a few per cent of a training's time."""

    judged: int = Field(default=500, ge=2)
    """Training, held-out and generated images each that the discriminator judges."""
    gradients: int = Field(default=64, ge=2)
    """Of these, images at which the discriminator's gradient is computed."""
    redrawn: int = Field(default=128, ge=64)
    """Latents that are decoded again in train mode, and by the generator without weight averaging."""
    brightness: int = Field(default=32, ge=1)
    """Images of fixed latents whose mean pixel value is logged, to detect a generator that no longer changes."""
