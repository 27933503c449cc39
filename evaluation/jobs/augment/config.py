"""The settings of `advgan augment`."""

from typing import Annotated

from pydantic import Field

from advgan.config import Place, ReadData, Share
from evaluation.jobs.foreign_model import ForeignModel
from evaluation.jobs.suites import AttackOptions


class AugmentConfig(AttackOptions, ForeignModel):
    """The settings of an augmented training set."""

    model: Annotated[str, Place.CLASSIFIER] = "cnn"
    """The classifier that is attacked, and that labels or confirms generated images."""
    data: ReadData | None = None
    """None: the data of the model's or the generator's run, else the embedded digits."""
    attacks: tuple[str, ...] = Field(default=("pgd",), min_length=1)
    checkpoint: Annotated[str | None, Place.RUN] = None
    """Run of a GAN; None: no generated images."""
    num_adversarial: int | None = Field(default=None, ge=1)
    """For each attack and budget; None: every training image."""
    num_generated: int | None = Field(default=None, ge=1)
    """None: as many as there are training images."""
    min_confidence: Share = 0.5
    """Keep generated images whose label has at least this probability by the classifier."""
    batch_size: int = Field(default=256, ge=1)

    def idle(self) -> dict[str, str]:
        found = super().idle() | {"cascade": "each attack is made of every image; it is for advgan attack"}
        if self.checkpoint is None:
            reason = "no images are generated; name a GAN with --ckpt RUN"
            found |= dict.fromkeys(("num_generated", "min_confidence"), reason)
        return found
