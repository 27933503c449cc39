"""Trained GANs on disk: written during training, read back to sample from or to train on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from advgan.checkpoints import Checkpoint, find_checkpoint, load_checkpoint, parameters_digest, save_checkpoint
from advgan.config import GanNetworks, GanTraining
from advgan.models.interface import Discriminator, Generator
from advgan.training import State, start

KIND = "gan"
DATA_KEYS = ("name", "digest", "classes", "size", "channels")


@dataclass(frozen=True)
class TrainedGan:
    """A GAN to use: frozen, in eval mode, with what it was trained on and how."""

    generator: Generator
    """The moving average."""
    discriminator: Discriminator
    networks: GanNetworks
    training: GanTraining
    data_name: str
    data_digest: str
    classes: tuple[str, ...]
    size: int
    channels: int
    step: int
    digest: str
    """Names the weights of the generator."""
    path: Path


class _Recipe(NamedTuple):
    networks: GanNetworks
    training: GanTraining
    data: dict[str, Any]


def save_gan(
    path: Path, state: State, networks: GanNetworks, training: GanTraining, *, data: Mapping[str, Any]
) -> None:
    """Write the whole state with the configuration that made it, atomically.

    `data` describes the training data: name, digest, classes, size and channels (further keys are left out).
    """
    config = {
        "networks": networks.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "data": {key: data[key] for key in DATA_KEYS},
    }
    save_checkpoint(path, kind=KIND, config=config, state=state.to_tree())


def load_gan(path: Path, *, device: torch.device | str = "cpu") -> TrainedGan:
    """Read a GAN to sample from or to examine; a run folder means its best checkpoint, else its last.

    Raises ValueError where there is no checkpoint, or it is damaged, of another kind or does not fit its configuration.
    """
    checkpoint = load_checkpoint(find_checkpoint(path), kind=KIND)
    recipe = _read_recipe(checkpoint)
    state = _restore(checkpoint, recipe, device)
    return TrainedGan(
        generator=state.average,
        discriminator=state.discriminator.requires_grad_(False).eval(),
        networks=recipe.networks,
        training=recipe.training,
        data_name=recipe.data["name"],
        data_digest=recipe.data["digest"],
        classes=tuple(recipe.data["classes"]),
        size=recipe.data["size"],
        channels=recipe.data["channels"],
        step=state.step,
        digest=parameters_digest(state.average.state_dict()),
        path=checkpoint.path,
    )


def load_state(path: Path, *, device: torch.device | str = "cpu") -> State:
    """Read the state of a checkpoint file to train on from there; `train` then repeats what would have followed.

    The optimisers take the learning rates of the saved configuration. Raises ValueError as `load_gan` does.
    """
    checkpoint = load_checkpoint(path, kind=KIND)
    return _restore(checkpoint, _read_recipe(checkpoint), device)


def _read_recipe(checkpoint: Checkpoint) -> _Recipe:
    try:
        networks = GanNetworks.model_validate(checkpoint.config["networks"])
        training = GanTraining.model_validate(checkpoint.config["training"])
        data = {key: checkpoint.config["data"][key] for key in DATA_KEYS}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{checkpoint.path} has a configuration unknown here ({where}: {first['msg']})") from None
    except (KeyError, TypeError):
        raise ValueError(f"{checkpoint.path} lacks the configuration of a GAN: it was not written by advgan") from None
    return _Recipe(networks, training, data)


def _restore(checkpoint: Checkpoint, recipe: _Recipe, device: torch.device | str) -> State:
    shape = {"size": recipe.data["size"], "channels": recipe.data["channels"]}
    state = start(recipe.networks, recipe.training, **shape, num_classes=len(recipe.data["classes"]), device=device)
    try:
        state.load(checkpoint.state)
    except (KeyError, RuntimeError, ValueError):
        raise ValueError(f"{checkpoint.path} holds weights that do not fit its own configuration") from None
    return state
