"""The settings of `advgan demo`."""

from pydantic import Field

from advgan.config import Budget, DataConfig, Section


class DemoConfig(Section):
    """The settings of the demo."""

    data: DataConfig = DataConfig()
    eps: Budget | None = None
    """Linf budget of the attacks; None: 0.15 for tiny grey images, 0.3 for other grey ones, 8/255 for colour."""
    classifier_steps: int = Field(default=600, ge=1)
    hardening_steps: int = Field(default=600, ge=1)
    gan_steps: int | None = Field(default=None, ge=1)
    """None: as many as the GAN's preset says."""
    num_samples: int = Field(default=1000, ge=1)
    """Test images to attack, at most."""
    seed: int = Field(default=0, ge=0)
