"""Classifiers trained by one fixed recipe, so that the same images always give the same network.

They are the default feature extractors for generators, and what a bare `--model cnn` means on the embedded digits.
`advgan fit` neither reads nor writes them.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.stored import load_trained, save_classifier
from advgan.classifier.training import State, start, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import Data, ImageSet
from advgan.machine.kernels import kernels
from advgan.machine.threads import computing_with
from advgan.storage.atomic import write_atomically
from advgan.storage.cache import cache_dir, cached
from attacks import Classifier
from evaluation.features.held_out import HeldOut
from evaluation.jobs.setup import Setup, log, progress
from evaluation.under_attack.outcomes import measured_logits

STEPS = 600
"""Enough for small images; at least one pass over them."""
RECIPE: Mapping[str, Any] = {
    "batch_size": 64,
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 5e-4,
    "decays_everything": False,
    "schedule": "one-cycle",
    "label_smoothing": 0.0,
    "augmentation": "none",
    "average_decay": 0.0,
    "precision": "float32",
    "deterministic": True,
    "seed": 0,
}
"""Written out, so that a new default of `advgan fit` changes no judge. The last weights count: none are chosen."""
CLASSIFIER, TRIED = "classifier.safetensors", "held-out.json"
_AT_ONCE = 256


class Fixed(NamedTuple):
    """A classifier by the fixed recipe: its checkpoint, and its accuracy on held-out images."""

    path: Path
    held_out: HeldOut


def fixed_classifier(name: str, data: Data, setup: Setup) -> Fixed:
    """The network of an architecture, its own sizes, that the recipe makes of these images; fitted now where need be.

    A function of the training images and of the kind of device alone: one thread computes it on a CPU, since more would
    add up in another order.
    """
    device = setup.torch_device()
    fitted = cache(lambda: _fit(name, data, device))
    folder = cached(place(name, data.digest, device), lambda new: _write(new, fitted(), name, data))
    return Fixed(folder / CLASSIFIER, _read(folder / TRIED))


def place(name: str, data_digest: str, device: torch.device) -> Path:
    """The folder of the cache that holds it; another recipe has another."""
    recipe = sha256(json.dumps([STEPS, dict(RECIPE)], sort_keys=True).encode()).hexdigest()[:8]
    return cache_dir() / "judges" / f"{name}-{data_digest}-{recipe}-{device.type}"


def tried(classifier: Classifier, images: ImageSet, *, called: str = "held-out images") -> HeldOut:
    """The accuracy of a classifier on some images."""
    answers = [
        measured_logits(classifier, images.unit(some)).argmax(dim=1)
        for some in torch.arange(len(images)).split(_AT_ONCE)
        if len(some)
    ]
    return HeldOut.of(torch.cat(answers) if answers else images.labels, images.labels, called=called)


def _fit(name: str, data: Data, device: torch.device) -> State:
    network, training = _recipe(name, data)
    log.info(
        "fitting the %s of the fixed recipe to %s, once: %d epochs, seed %d",
        *(name, data.name, training.epochs, training.seed),
    )
    with computing_with(1), kernels(device, deterministic=True):
        state = start(network, training, data.train, device=device)
        with progress(training.epochs * steps_per_epoch(training, len(data.train)), f"fit {name}") as bar:
            for _ in train(state, data.train, training):
                bar.update()
    return state


def _write(folder: Path, state: State, name: str, data: Data) -> None:
    save_classifier(folder / CLASSIFIER, state, *_recipe(name, data), data=data.describe())
    classifier, _ = load_trained(folder / CLASSIFIER, device=state.device)
    write_atomically(folder / TRIED, json.dumps(tried(classifier, data.held_out)._asdict()) + "\n")


def _recipe(name: str, data: Data) -> tuple[NetworkConfig, ClassifierTraining]:
    epochs = max(1, math.ceil(STEPS * RECIPE["batch_size"] / len(data.train)))
    return NetworkConfig(name=name), ClassifierTraining(epochs=epochs, **RECIPE)


def _read(file: Path) -> HeldOut:
    try:
        return HeldOut(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ValueError(f"{file} is damaged: remove the folder {file.parent}, and the judge is fitted again") from None
