"""Generators that `advgan export` wrote, read back to sample from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from advgan.config import Baseline, GanNetworks
from advgan.gan.baselines import start_vae
from advgan.models.gans.families import build_generator
from advgan.models.gans.mixture import Mixture, MixtureGenerator
from advgan.models.interface import Generator
from advgan.sampling.classes import with_class_counts

PREFIX = "generator."
"""Prefix of the tensors' names in the file."""


def load_exported(folder: Path | str, *, device: torch.device | str = "cpu") -> Generator:
    """Read model.safetensors and config.json of a folder: a generator, frozen, in eval mode.

    Raises ValueError where a file is missing, damaged, of something else than a generator, or does not fit the other.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors", device=str(device))
    except (OSError, ValueError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{folder} holds no exported generator ({reason}): write one with advgan export --format safetensors"
        ) from None
    if not isinstance(about, dict) or about.get("kind") != "generator":
        raise ValueError(f"{folder}/config.json does not describe a generator: name what advgan export wrote of a GAN")
    try:
        weights = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
        generator = _build(about, weights).to(device)
        generator.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError, ValidationError):
        raise ValueError(f"{folder}/model.safetensors does not fit its config.json: export it again") from None
    return with_class_counts(generator.requires_grad_(False).eval(), about.get("class_counts"))


def _build(about: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Generator:
    shape = {"size": about["size"], "channels": about["channels"]}
    if "baseline" not in about:
        networks = GanNetworks.model_validate(about["networks"])
        return build_generator(networks, **shape, num_classes=len(about["classes"]))
    baseline = Baseline.model_validate(about["baseline"])
    return (
        start_vae(baseline, **shape).network.decoder if baseline.kind == "vae" else MixtureGenerator(Mixture(**weights))
    )
