"""Generators that `advgan export` wrote, read back to sample from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from advgan.config.header import Exported
from advgan.error_text import first_line
from advgan.gan.baselines import start_vae
from advgan.models.gans.families import build_generator
from advgan.models.gans.mixture import Mixture, MixtureGenerator
from advgan.models.interface import Generator
from advgan.sampling.classes import with_class_counts
from advgan.storage.contents import checked
from advgan.storage.exported import read_exported
from advgan.storage.headers import room_for

PREFIX = "generator."
"""Prefix of the tensors' names in the file."""


def load_exported(folder: Path | str, *, device: torch.device | str = "cpu") -> Generator:
    """Read model.safetensors and config.json of a folder: a generator, frozen, in eval mode.

    Raises ValueError where a file is missing, damaged, of something else than a generator, or does not fit the other.
    """
    folder = Path(folder)
    about = read_exported(folder)
    file = checked(folder, "model.safetensors")
    try:
        tensors = load_file(file, device=str(device))
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"{folder} holds no exported generator ({first_line(error)}): write one with advgan export --format "
            "safetensors"
        ) from None
    if about is None or about.kind != "generator":
        raise ValueError(f"{folder}/config.json does not describe a generator: name what advgan export wrote of a GAN")
    try:
        weights = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
        with room_for(sum(tensor.numel() for tensor in tensors.values())):
            generator = _build(about, weights).to(device)
        generator.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError, ValueError):
        raise ValueError(f"{folder}/model.safetensors does not fit its config.json: export it again") from None
    return with_class_counts(generator.requires_grad_(False).eval(), about.class_counts or None)


def _build(about: Exported, weights: Mapping[str, Tensor]) -> Generator:
    if about.size is None or about.channels is None:
        raise ValueError("images of no size")
    if about.networks is not None:
        num_classes = len(about.classes)
        return build_generator(about.networks, size=about.size, channels=about.channels, num_classes=num_classes)
    if about.baseline is None:
        raise ValueError("no networks")
    if about.baseline.kind == "vae":
        return start_vae(about.baseline, size=about.size, channels=about.channels).network.decoder
    mixture = Mixture(**weights)
    mixture.check(size=about.size, channels=about.channels)
    return MixtureGenerator(mixture)
