"""Trained networks as self-contained modules: images in [0, 1], with all scaling and normalisation inside."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from advgan.classifier.stored import load_trained
from advgan.config.foreign import Foreign
from advgan.config.places import is_python_source
from advgan.ranges import from_signed
from advgan.sampling.classes import class_counts
from advgan.sampling.stored import TrainedGan, load_gan
from advgan.storage.checkpoints import SUFFIX, find_checkpoint, load_checkpoint
from attacks import Classifier
from evaluation.inputs.exported import is_exported
from evaluation.inputs.foreign import generator_of


class ExportedGenerator(nn.Module):
    """Latents (N, dim) and labels (N,), if any, to images (N, C, H, W) in [0, 1]; the network itself gives [-1, 1]."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = from_signed(self.generator(latents, labels))
        return images


class ExportedClassifier(nn.Module):
    """Images in [0, 1] to logits, as `Classifier` computes them, without its counting and checking."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network
        self.reader = classifier.reader
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)

    def forward(self, images: Tensor) -> Tensor:
        output = self.network((images - self.get_buffer("mean")) / self.get_buffer("std"))
        return output if self.reader.reading is None else self.reader.reading.logits(output)


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A module in eval mode on the CPU, with an example input and its metadata."""

    module: nn.Module
    example: tuple[Tensor, ...]
    """Example input: a batch of two different samples."""
    inputs: tuple[str, ...]
    output: str
    about: dict[str, Any]
    """For config.json."""
    recipe: tuple[tuple[str, str], ...]
    """How it was trained, in words, for the model card."""
    path: Path
    """Of the checkpoint."""


def read_exportable(source: str) -> Exportable:
    """Read a run or a checkpoint of a GAN, whose averaged generator is taken, or of a classifier.

    Or an external generator, as `evaluation.inputs.foreign` reads it.
    """
    given = Path(source)
    is_foreign = is_python_source(source) or (given.is_file() and given.suffix != SUFFIX)
    if is_foreign or is_exported(given if given.is_dir() else given.parent):
        return _generator(generator_of(source))
    path = find_checkpoint(given)
    return _generator(load_gan(path)) if load_checkpoint(path).kind == "gan" else _classifier(path)


def _generator(gan: TrainedGan) -> Exportable:
    conditional = gan.generator.num_classes > 0
    latents = gan.generator.space.draw(0, torch.arange(2))
    about = {
        "kind": "generator",
        "digest": gan.digest,
        "data": gan.data_name,
        "data_digest": gan.data_digest,
        "size": gan.size,
        "channels": gan.channels,
        "classes": list(gan.classes) if conditional else [],
        "class_counts": list(class_counts(gan.generator) or []) if conditional else [],
        "latents": asdict(gan.generator.space),
        "output": "images in [0, 1], NCHW" if gan.size > 1 else "points (N, D, 1, 1), where 0 to 1 is the range",
        _kind_of(gan): gan.networks.model_dump(mode="json"),
    }
    return Exportable(
        module=ExportedGenerator(cast(nn.Module, gan.generator)).eval(),
        example=(latents, torch.arange(2) % len(gan.classes)) if conditional else (latents,),
        inputs=("latents", "labels") if conditional else ("latents",),
        output="images",
        about=about,
        recipe=_recipe(gan),
        path=gan.path,
    )


def _kind_of(gan: TrainedGan) -> str:
    if isinstance(gan.networks, Foreign):
        return "foreign"
    return "networks" if gan.training else "baseline"


def _recipe(gan: TrainedGan) -> tuple[tuple[str, str], ...]:
    if isinstance(gan.networks, Foreign):
        return (("architecture", f"somebody else's, from {gan.networks.source}"),)
    kind, training = ("architecture", f"{gan.networks.family}, width {gan.networks.width}"), gan.training
    if training is None:
        return (kind, ("training", f"{gan.step:,} steps, seed {gan.networks.model_dump()['seed']}"))
    steps = f"{gan.step:,} generator steps of {training.batch_size} images, seed {training.seed}"
    return (kind, ("loss", training.loss), ("training", steps))


def _classifier(path: Path) -> Exportable:
    classifier, info = load_trained(path)
    example = torch.linspace(0, 1, 2 * info.channels * info.size**2).view(2, info.channels, info.size, info.size)
    classifier.logits(example)  # which tells how the network's outputs are read
    about = {
        "kind": "classifier",
        "digest": info.digest,
        "data": info.data_name,
        "data_digest": info.data_digest,
        "size": info.size,
        "channels": info.channels,
        "classes": list(info.classes),
        "input": "images in [0, 1], NCHW; normalised inside",
        "output": "logits",
        "network": info.network.model_dump(mode="json"),
    }
    return Exportable(
        module=ExportedClassifier(classifier).eval(),
        example=(example,),
        inputs=("images",),
        output="logits",
        about=about,
        recipe=(
            ("architecture", info.name),
            ("defense", info.training.defense.name),
            ("training", f"{info.step:,} steps, seed {info.training.seed}"),
        ),
        path=path,
    )
