"""Checkpoints of classifiers: saved during training, loaded to attack, to score with or to train further."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from advgan.classifier.training import State, assemble
from advgan.config import ClassifierTraining, NetworkConfig, Section
from advgan.config.header import LearntData, Normalisation
from advgan.config.places import is_python_source
from advgan.models.classifiers.architectures import build_network
from advgan.models.classifiers.catalogues import is_catalogued
from advgan.storage.checkpoints import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    parameters_digest,
    save_checkpoint,
)
from advgan.storage.foreign_code import check_code, code_digest, stored_names
from advgan.storage.headers import read_section, read_step, room_of
from advgan.storage.places import found_from, of_run
from attacks import Classifier
from attacks.random import seeded

KIND = "classifier"
TRIED = 8
"""Images, at most, on which a network of a library is tried when it is built."""
S = TypeVar("S", bound=Section)
DATA_KEYS = ("name", "digest", "classes", "size", "channels")


@dataclass(frozen=True)
class TrainedClassifier:
    """What a classifier was trained on and how."""

    name: str
    """The network's: `cnn`, say."""
    network: NetworkConfig
    training: ClassifierTraining
    data_name: str
    data_digest: str
    classes: tuple[str, ...]
    size: int
    channels: int
    step: int
    digest: str
    """Names the weights."""
    path: Path

    def check_form(self, *, size: int, channels: int, source: Path) -> None:
        """Refuse data of another form than it was trained on: ValueError with the options that bring them to it."""
        if (self.size, self.channels) == (size, channels):
            return
        ways = [f"--resize {self.size}"] if self.size != size else []
        ways += [f"--set data.channels={self.channels}"] if self.channels != channels else []
        raise ValueError(
            f"{source} was trained on {self.channels}x{self.size}x{self.size} images ({self.data_name}), the data have "
            f"{channels}x{size}x{size}: add {' and '.join(ways)}"
        )


class _Recipe(NamedTuple):
    network: NetworkConfig
    training: ClassifierTraining
    data: LearntData
    normalisation: Normalisation


def save_classifier(
    path: Path, state: State, network: NetworkConfig, training: ClassifierTraining, *, data: Mapping[str, Any]
) -> None:
    """Write the whole state with the configuration that made it, atomically.

    `data` describes the training data: name, digest, classes, size and channels (further keys are left out).
    """
    config = {
        "network": _located(network, lambda name: found_from(name, Path.cwd())).model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "data": {key: data[key] for key in DATA_KEYS},
        "normalisation": {"mean": list(state.mean), "std": list(state.std)},
        "code": code_digest(network.name),
    }
    save_checkpoint(path, kind=KIND, config=config, state=state.to_tree())


def load_trained(path: Path, *, device: torch.device | str = "cpu") -> tuple[Classifier, TrainedClassifier]:
    """Read a classifier, averaged if it was; a run folder means its best checkpoint, else its last.

    Raises ValueError where there is no checkpoint, or it is damaged, of another kind or does not fit its configuration.
    """
    checkpoint = load_checkpoint(find_checkpoint(path), kind=KIND)
    recipe = _read_recipe(checkpoint)
    state = _restore(checkpoint, recipe, device)
    info = TrainedClassifier(
        name=recipe.network.called,
        network=recipe.network,
        training=recipe.training,
        data_name=recipe.data.name,
        data_digest=recipe.data.digest,
        classes=recipe.data.classes,
        size=recipe.data.size,
        channels=recipe.data.channels,
        step=state.step,
        digest=parameters_digest(state.scored.state_dict()),
        path=checkpoint.path,
    )
    state.scored.requires_grad_(False).eval()
    return state.classifier(name=recipe.network.called), info


def recipe_of(path: Path) -> ClassifierTraining:
    """Read how a checkpoint file was trained. Raises ValueError as `load_trained` does."""
    return _read_recipe(load_checkpoint(path, kind=KIND)).training


def network_of(path: Path) -> NetworkConfig:
    """Read the network of a checkpoint file. Raises ValueError as `load_trained` does."""
    return _read_recipe(load_checkpoint(path, kind=KIND)).network


def load_state(path: Path, *, device: torch.device | str = "cpu") -> State:
    """Read the state of a checkpoint file to train on from there; `train` then repeats what would have followed.

    The optimiser takes the options of the saved configuration. Raises ValueError as `load_trained` does.
    """
    checkpoint = load_checkpoint(path, kind=KIND)
    return _restore(checkpoint, _read_recipe(checkpoint), device)


def _read_recipe(checkpoint: Checkpoint) -> _Recipe:
    def section(name: str, kind: type[S]) -> S:
        return read_section(checkpoint, name, kind, owner="a classifier")

    stored = section("network", NetworkConfig)
    data, normalisation = section("data", LearntData), section("normalisation", Normalisation)
    if len(normalisation.mean) not in (1, data.channels):
        raise ValueError(
            f"{checkpoint.path} has a configuration unknown here (normalisation.mean: {len(normalisation.mean)} "
            f"numbers for {data.channels} channels)"
        )
    network = _located(stored, lambda name: of_run(name, checkpoint.path.parent.parent))
    check_code(network.name, checkpoint.config.get("code"), where=checkpoint.path)
    return _Recipe(network, section("training", ClassifierTraining), data, normalisation)


def _located(network: NetworkConfig, found: Callable[[str], str]) -> NetworkConfig:
    """The same, where it is built by a user's file with the path of that; names of architectures are no paths."""
    return network.model_copy(update={"name": found(network.name)}) if is_python_source(network.name) else network


def _spare(network: NetworkConfig, data: LearntData) -> int:
    """Numbers that building takes beside the weights: images to try a library's network on; a user's file is free."""
    if is_python_source(network.name):
        return 1 << 62
    return TRIED * data.channels * data.size**2 if is_catalogued(network.name) else 0


def _restore(checkpoint: Checkpoint, recipe: _Recipe, device: torch.device | str) -> State:
    data, normalisation = recipe.data, recipe.normalisation
    form = {"size": data.size, "channels": data.channels, "num_classes": len(data.classes)}
    # The weights are about to be replaced: published ones are not loaded for that.
    with room_of(checkpoint, spare=_spare(recipe.network, data)), seeded(0), stored_names():
        network = build_network(recipe.network, **form, pretrained=False)
    state = assemble(
        network,
        recipe.training,
        mean=normalisation.mean,
        std=normalisation.std,
        num_classes=len(data.classes),
        device=device,
    )
    read_step(checkpoint)
    try:
        state.load(checkpoint.state)
    except (KeyError, IndexError, RuntimeError, TypeError, AttributeError, ValueError):
        raise ValueError(
            f"{checkpoint.path} holds weights that do not fit {recipe.network.name}"
            + (": the file has changed since" if ".py:" in recipe.network.name else "")
        ) from None
    return state
