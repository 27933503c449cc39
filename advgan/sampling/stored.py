"""Checkpoints of GANs and baselines: saved during training, loaded to sample from or to train further."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from advgan.config import Baseline, GanNetworks, GanTraining, Section
from advgan.config.foreign import Foreign
from advgan.config.header import LearntData
from advgan.gan.baselines import VaeState, start_vae
from advgan.gan.training import State, start
from advgan.models.gans.mixture import Mixture, MixtureGenerator
from advgan.models.interface import Discriminator, Generator
from advgan.sampling.classes import with_class_counts
from advgan.storage.checkpoints import Checkpoint, find_checkpoint, load_checkpoint, parameters_digest, save_checkpoint
from advgan.storage.headers import learnt_data, read_section, read_step, room_of

KIND = "gan"
DATA_KEYS = ("name", "digest", "classes", "size", "channels")
COUNTS = "class_counts"
"""Key of the number of training images of each class; older checkpoints lack it."""
S = TypeVar("S", bound=Section)


class Game(NamedTuple):
    """The discriminator of a trained generator, and the configuration of both."""

    discriminator: Discriminator
    networks: GanNetworks
    training: GanTraining


@dataclass(frozen=True)
class TrainedGan:
    """A loaded GAN or baseline, frozen and in eval mode, with its training data and configuration."""

    generator: Generator
    """The averaged generator (of a baseline, its decoder or mixture)."""
    discriminator: Discriminator | None
    """None: a baseline, which has none."""
    networks: GanNetworks | Baseline | Foreign
    training: GanTraining | None
    """None for a baseline, whose recipe is in `networks`, and for a foreign generator, of which it is unknown."""
    data_name: str
    data_digest: str
    classes: tuple[str, ...]
    size: int
    channels: int
    step: int
    digest: str
    """Names the weights of the generator."""
    path: Path

    @property
    def game(self) -> Game:
        """The discriminator with its configuration; raises ValueError for a baseline, which has none."""
        if self.discriminator is None or self.training is None or not isinstance(self.networks, GanNetworks):
            raise ValueError(
                f"{self.path} is a {self.networks.family}, which has no discriminator: give the run of a GAN"
            )
        return Game(self.discriminator, self.networks, self.training)


class _Found(NamedTuple):
    generator: Generator
    discriminator: Discriminator | None
    networks: GanNetworks | Baseline
    training: GanTraining | None
    step: int


def save_gan(
    path: Path, state: State, networks: GanNetworks, training: GanTraining, *, data: Mapping[str, Any]
) -> None:
    """Write the whole state with the configuration that made it, atomically.

    `data` describes the training data: name, digest, classes, size and channels, and how many images of each class
    there are, where that is known (further keys are left out).
    """
    config = {
        "networks": networks.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "data": _described(data),
    }
    save_checkpoint(path, kind=KIND, config=config, state=state.to_tree())


def save_baseline(
    path: Path, fitted: VaeState | MixtureGenerator, baseline: Baseline, *, step: int, data: Mapping[str, Any]
) -> None:
    """Write a baseline that `load_gan` reads like a GAN; a variational autoencoder can be trained on from there."""
    config = {"baseline": baseline.model_dump(mode="json"), "data": _described(data)}
    tree = fitted.to_tree() if isinstance(fitted, VaeState) else {"generator": fitted.state_dict(), "step": step}
    save_checkpoint(path, kind=KIND, config=config, state=tree)


def load_gan(path: Path, *, device: torch.device | str = "cpu") -> TrainedGan:
    """Read a GAN or a baseline to sample from or to examine; a run folder means its best checkpoint, else its last.

    Raises ValueError where there is no checkpoint, or it is damaged, of another kind or does not fit its configuration.
    """
    checkpoint = load_checkpoint(find_checkpoint(path), kind=KIND)
    found = _read_baseline(checkpoint, device) if "baseline" in checkpoint.config else _read_gan(checkpoint, device)
    data = _data_of(checkpoint)
    return TrainedGan(
        generator=with_class_counts(found.generator.requires_grad_(False).eval(), data.class_counts or None),
        discriminator=found.discriminator and found.discriminator.requires_grad_(False).eval(),
        networks=found.networks,
        training=found.training,
        data_name=data.name,
        data_digest=data.digest,
        classes=data.classes,
        size=data.size,
        channels=data.channels,
        step=found.step,
        digest=parameters_digest(found.generator.state_dict()),
        path=checkpoint.path,
    )


def load_state(path: Path, *, device: torch.device | str = "cpu") -> State:
    """Read the state of a checkpoint file to train on from there; `train` then repeats what would have followed.

    The optimisers take the learning rates of the saved configuration. Raises ValueError as `load_gan` does.
    """
    checkpoint = load_checkpoint(path, kind=KIND)
    return _restore(checkpoint, *_read_recipe(checkpoint), device)


def recipe_of(path: Path) -> GanTraining:
    """Read how a GAN's checkpoint file was trained. Raises ValueError as `load_gan` does."""
    return _read_recipe(load_checkpoint(path, kind=KIND))[1]


def networks_of(path: Path) -> GanNetworks:
    """Read the networks of a GAN's checkpoint file. Raises ValueError as `load_gan` does."""
    return _read_recipe(load_checkpoint(path, kind=KIND))[0]


def baseline_of(path: Path) -> Baseline:
    """Read the configuration of a baseline's checkpoint file. Raises ValueError as `load_gan` does."""
    return _read_baseline_recipe(load_checkpoint(path, kind=KIND))


def load_vae_state(path: Path, *, device: torch.device | str = "cpu") -> VaeState:
    """Read the state of an autoencoder's checkpoint, for `train_vae` to go on from. Raises ValueError as `load_gan`."""
    checkpoint = load_checkpoint(path, kind=KIND)
    return _restore_vae(checkpoint, _read_baseline_recipe(checkpoint), device)


def _read_gan(checkpoint: Checkpoint, device: torch.device | str) -> _Found:
    networks, training = _read_recipe(checkpoint)
    state = _restore(checkpoint, networks, training, device)
    return _Found(state.average, state.discriminator, networks, training, state.step)


def _read_baseline(checkpoint: Checkpoint, device: torch.device | str) -> _Found:
    baseline = _read_baseline_recipe(checkpoint)
    if baseline.kind == "vae":
        state = _restore_vae(checkpoint, baseline, device)
        return _Found(state.network.decoder, None, baseline, None, state.step)
    return _Found(_read_mixture(checkpoint).to(device), None, baseline, None, read_step(checkpoint))


def _read_mixture(checkpoint: Checkpoint) -> MixtureGenerator:
    data = _data_of(checkpoint)
    with _fitting_weights(checkpoint):
        found = Mixture(**checkpoint.state["generator"])
        found.check(channels=data.channels, size=data.size)
        return MixtureGenerator(found)


def _read_recipe(checkpoint: Checkpoint) -> tuple[GanNetworks, GanTraining]:
    def section(name: str, kind: type[S]) -> S:
        return read_section(checkpoint, name, kind, owner="a GAN")

    return section("networks", GanNetworks), section("training", GanTraining)


def _read_baseline_recipe(checkpoint: Checkpoint) -> Baseline:
    return read_section(checkpoint, "baseline", Baseline, owner="a baseline")


def _data_of(checkpoint: Checkpoint) -> LearntData:
    return learnt_data(checkpoint, owner="a GAN")


def _described(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in DATA_KEYS} | ({COUNTS: data[COUNTS]} if data.get(COUNTS) else {})


def _restore(checkpoint: Checkpoint, networks: GanNetworks, training: GanTraining, device: torch.device | str) -> State:
    data = _data_of(checkpoint)
    shape = {"size": data.size, "channels": data.channels, "num_classes": len(data.classes)}
    read_step(checkpoint)
    with room_of(checkpoint):
        state = start(networks, training, **shape, device=device)
    with _fitting_weights(checkpoint):
        state.load(checkpoint.state)
    for generator in (state.generator, state.average):
        with_class_counts(generator, data.class_counts or None)
    return state


def _restore_vae(checkpoint: Checkpoint, baseline: Baseline, device: torch.device | str) -> VaeState:
    data = _data_of(checkpoint)
    shape = {"size": data.size, "channels": data.channels}
    read_step(checkpoint)
    with room_of(checkpoint):
        state = start_vae(baseline, **shape, device=device)
    with _fitting_weights(checkpoint):
        state.load(checkpoint.state)
    return state


@contextmanager
def _fitting_weights(checkpoint: Checkpoint) -> Iterator[None]:
    """Say in one line that the weights which the block loads do not fit."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError):
        raise ValueError(f"{checkpoint.path} holds weights that do not fit its own configuration") from None
