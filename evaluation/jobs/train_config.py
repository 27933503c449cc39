"""What `advgan train` trains, on what and how, and how often it looks."""

from pydantic import Field, model_validator

from advgan.config import DataConfig, GanNetworks, GanTraining, Section
from evaluation.monitor import Diagnostics


class TrainConfig(Section):
    """The settings of a GAN's training and of its evaluations."""

    data: DataConfig = DataConfig()
    networks: GanNetworks = GanNetworks()
    training: GanTraining = GanTraining()
    features: str = "auto"
    """What sees the images for the scores: `auto` (a classifier of this data), `inception`, or a classifier's run."""
    num_samples: int = Field(default=1000, ge=2)
    """Generated images for each evaluation."""
    log_every: int = Field(default=50, ge=1)
    """Steps."""
    evaluate_every: int = Field(default=500, ge=1)
    """Steps; each evaluation also writes a sample grid and a checkpoint."""
    patience: int | None = Field(default=10, ge=1)
    """Evaluations without a better distance after which training stops; None: never."""
    diagnostics: Diagnostics = Diagnostics()
    """How many images each diagnostic is made of."""
    tensorboard: bool = False
    """Also write what is logged for TensorBoard, into the run's folder `tensorboard`."""

    @model_validator(mode="after")
    def _evaluations_end_a_log_row(self) -> "TrainConfig":
        if self.evaluate_every % self.log_every:
            raise ValueError(
                f"evaluate_every {self.evaluate_every} must be a multiple of log_every {self.log_every}, "
                "or a resumed run would log other means"
            )
        return self
