"""What `advgan fit` trains, on what and how."""

from advgan.config import ClassifierTraining, DataConfig, NetworkConfig, Section


class FitConfig(Section):
    """The settings of a classifier's training."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    training: ClassifierTraining = ClassifierTraining()
    extra: str | None = None
    """Folder of further images to learn from, such as `advgan augment` writes."""
    start_from: str | None = None
    """Run or checkpoint of a classifier whose weights training starts from; a run given as the network's name goes
    here."""

    def idle(self) -> dict[str, str]:
        if self.extra is None:
            return {"training.extra_fraction": "there are no extra images; name them with --extra DIR"}
        return {}
