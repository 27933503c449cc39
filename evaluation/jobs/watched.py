"""Settings of every training that is evaluated at intervals (GANs and baselines)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from advgan.config import DataConfig, Place, Section


class Watched(Section):
    """Data, what sees the images, and how often."""

    data: DataConfig = DataConfig()
    features: Annotated[str, Place.EXTRACTOR] = "auto"
    """Feature extractor of the scores: `auto` (a classifier of this data), `inception`, or a classifier's run."""
    num_samples: int = Field(default=1000, ge=2)
    """Generated images for each evaluation."""
    log_every: int = Field(default=50, ge=1)
    """Training steps between two rows of the log."""
    evaluate_every: int = Field(default=500, ge=1)
    """Training steps between two evaluations; each also writes a sample grid and a checkpoint."""

    @model_validator(mode="after")
    def _evaluations_end_a_log_row(self) -> Self:
        if self.evaluate_every % self.log_every:
            raise ValueError(
                f"evaluate_every {self.evaluate_every} must be a multiple of log_every {self.log_every}, "
                "or a resumed run would log other means"
            )
        return self
