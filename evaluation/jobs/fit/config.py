"""The settings of `advgan fit`."""

from typing import Annotated

from advgan.config import ClassifierTraining, DataConfig, NetworkConfig, Place, Section


class FitConfig(Section):
    """The settings of a classifier's training."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    training: ClassifierTraining = ClassifierTraining()
    extra: Annotated[str | None, Place.DATA] = None
    """Folder of further images to learn from, such as `advgan augment` writes."""
    start_from: Annotated[str | None, Place.RUN] = None
    """Run or checkpoint of a classifier whose weights training starts from; a run given as the network's name goes
    here."""

    def idle(self) -> dict[str, str]:
        if self.extra is None:
            return {"training.extra_fraction": "there are no extra images; name them with --extra DIR"}
        return {}
