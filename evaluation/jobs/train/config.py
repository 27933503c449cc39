"""The settings of `advgan train`."""

from pydantic import Field

from advgan.config import Baseline, GanNetworks, GanTraining
from evaluation.jobs.watched import Watched
from evaluation.watching.diagnostics import Diagnostics


class TrainConfig(Watched):
    """The settings of a GAN's training and of its evaluations."""

    networks: GanNetworks = GanNetworks()
    training: GanTraining = GanTraining()
    baseline: Baseline | None = None
    """Fit this instead of a GAN; networks, training (but its seed), patience and tensorboard then have no effect."""
    patience: int | None = Field(default=10, ge=1)
    """Evaluations without a better distance after which training stops; None: never."""
    diagnostics: Diagnostics = Diagnostics()
    """How many images each diagnostic is made of."""
    tensorboard: bool = False
    """Also write what is logged for TensorBoard, into the run's folder `tensorboard`."""

    def idle(self) -> dict[str, str]:
        if self.baseline is None:
            return {}
        reason = "a baseline is fitted, and no GAN; its own settings are those of `baseline`"
        keys = [f"{name}.{key}" for name in ("networks", "training") for key in type(getattr(self, name)).model_fields]
        return dict.fromkeys([*(key for key in keys if key != "training.seed"), "patience", "tensorboard"], reason)
