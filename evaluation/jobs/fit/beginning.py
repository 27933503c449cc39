"""The initial state of `advgan fit`: new weights, those of another run, or a checkpoint of a resumed run."""

from pathlib import Path

import torch

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.sources import no_architecture
from advgan.classifier.stored import load_state, load_trained, network_of, recipe_of
from advgan.classifier.training import State, start
from advgan.classifier.warm_start import start_from
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.config.places import is_python_source
from advgan.data import Data, ImageSet
from advgan.learning.schedules import learning_rate
from advgan.models.classifiers.architectures import CLASSIFIERS
from advgan.models.classifiers.catalogues import is_catalogued
from advgan.storage.checkpoints import SUFFIX
from advgan.storage.runs import Run
from evaluation.jobs.begun_with import check_recipe, newest_checkpoint
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.longer import lengthen
from evaluation.jobs.setup import Setup, log
from evaluation.jobs.sources import data_of


def with_weights(config: FitConfig) -> FitConfig:
    """Where the network is named by a run, take that run's architecture, and start from its weights.

    Its data are taken too, where no others are named.
    """
    name, start = config.network.name, config.start_from
    is_source = name in CLASSIFIERS or is_catalogued(name) or is_python_source(name) or not Path(name).exists()
    if is_source and start is None:
        return config
    if not is_source and Path(name).is_file() and Path(name).suffix != SUFFIX:
        raise no_architecture(Path(name))
    found = load_trained(Path(name if start is None else start))[1]
    if config.network not in (NetworkConfig(name=name), found.network):
        raise ValueError(
            f"network.depth, width and stages are those of {start or name}, which is trained on: leave them out"
        )
    update = {"network": found.network, "start_from": start or name, "data": data_of(config.data, start or name)}
    return config.model_copy(update=update)


def begin(config: FitConfig, setup: Setup, data: Data, extra: ImageSet | None, device: torch.device) -> State:
    """A new state, one with the weights of another run, or an old one as its run's newest whole checkpoint left it."""
    newest = newest_checkpoint(setup.resume, load_state) if setup.resume else None
    if setup.resume and newest:
        check_recipe(setup.resume, network_of(newest), config.network, section="network")
        before = recipe_of(newest)
        check_recipe(setup.resume, before, config.training, section="training", longer="epochs")
        state = load_state(newest, device=device)
        _lengthen(config, setup.resume, before, data, extra, state)
        log.info("resuming %s after step %d", setup.resume.folder, state.step)
        return state
    if config.start_from is None:
        return start(config.network, config.training, data.train, device=device)
    state, info = start_from(Path(config.start_from), config.training, data.train, device=device)
    log.info("starting from the weights of %s %s (%s)", info.name, info.digest, config.start_from)
    if info.classes != data.classes:
        log.warning("Note: its classes are others than those of %s, so its last layer begins anew.", data.name)
    return state


def _lengthen(
    config: FitConfig, run: Run, before: ClassifierTraining, data: Data, extra: ImageSet | None, state: State
) -> None:
    training = config.training
    per_epoch = steps_per_epoch(training, len(data.train), len(extra) if extra else 0)
    drops = [epoch * per_epoch for epoch in training.drop_epochs]

    def share(step: int, epochs: int) -> float:
        return learning_rate(training.schedule, step, total_steps=epochs * per_epoch, peak=1.0, drops=drops)

    lengths = {"before": before.epochs, "now": training.epochs}
    lengthen(run, config, option="--epochs", unit="epochs", done=state.step, rate=share, **lengths)
