"""Generators that were exported, by us or by others: `.pt2` of torch.export, `.onnx`, and safetensors with config.json.

What a program is fed stands in its own signature, and in the config.json beside it where `advgan export` wrote it:
latents first, then labels, if there are two inputs. Latents of others are taken to be standard normal.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from advgan.models.classifiers.exported_program import load_exported as load_program
from advgan.models.latents import LatentSpace
from advgan.sampling.exported import load_exported as load_weights
from advgan.storage.contents import checked
from advgan.storage.exported import read_exported
from advgan.storage.seal import file_digest
from evaluation.inputs.asked import Shares, asked_of
from evaluation.inputs.generated import drawn_source, latent_space, latent_words, module_source
from evaluation.inputs.onnx_program import onnx_program
from evaluation.inputs.program import Input, Program
from evaluation.inputs.source import Source

FILES = ("model.safetensors", "model.pt2", "model.onnx")
"""What `advgan export` calls them."""


def is_exported(folder: Path) -> bool:
    """Whether a folder holds a generator that `advgan export` wrote."""
    return _about(folder).get("kind") == "generator" and any((folder / name).is_file() for name in FILES)


def exported_source(
    path: Path, *, name: str, num_samples: int, seed: int, like: Shares | None, device: torch.device | str
) -> Source:
    """Open an exported generator, or the folder of one.

    Raises ValueError in one line where the file is damaged, could run code, or takes something else than latents and
    labels, and where it takes labels and neither its config.json nor the real images say how many classes there are.
    """
    if path.is_dir():
        path = next(path / file for file in FILES if (path / file).is_file())
    if path.suffix == ".safetensors":
        generator: Any = load_weights(path.parent, device=device)
        about = _about(path.parent)
        return module_source(
            generator,
            name=name,
            num_samples=num_samples,
            seed=seed,
            like=like,
            classes=tuple(about.get("classes", ())),
            own=about.get("class_counts"),
            device=device,
        )
    return _program_source(path, name=name, num_samples=num_samples, seed=seed, like=like, device=device)


def torch_program(path: Path, device: torch.device | str) -> Program:
    """A `.pt2` file, read without the parts of the format that run code."""
    network = load_program(path, device=device)
    graph: Any = network.program.graph
    values = [node.meta["val"] for node in graph.nodes if node.op == "placeholder"]
    if not all(isinstance(value, Tensor) for value in values):
        raise ValueError(f"{path} takes something else than tensors: a generator takes latents, and labels")
    inputs = tuple(
        Input(tuple(side if isinstance(side, int) else None for side in value.shape), not value.dtype.is_floating_point)
        for value in values
    )
    return Program(inputs, lambda *given: network.program(*(tensor.to(device) for tensor in given)))


class Opened(NamedTuple):
    """An exported generator that can be run, and what is known of it."""

    run: Callable[..., Tensor]
    """Latents (N, space.dim), and labels (N,) where there are classes, to what it gives."""
    space: LatentSpace
    classes: tuple[str, ...] | None
    about: dict[str, Any]
    """The config.json beside it; empty where that is not ours."""
    file: Path


def opened_program(path: Path, *, like: Shares | None, name: str, device: torch.device | str) -> Opened:
    """Open a `.pt2` or `.onnx` generator, or what `advgan export` wrote into a folder or as `.safetensors`.

    Raises ValueError as `exported_source` does.
    """
    if path.is_dir():
        path = next(path / file for file in FILES if (path / file).is_file())
    checked(path.parent, path.name)
    about = _about(path.parent)
    if path.suffix == ".safetensors":
        generator: Any = load_weights(path.parent, device=device)
        return Opened(generator, latent_space(generator, name), tuple(about.get("classes", ())) or None, about, path)
    program = onnx_program(path) if path.suffix == ".onnx" else torch_program(path, device)
    _check_inputs(name, program.inputs)
    shape = program.inputs[0].shape
    if len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3] and shape[2] != 1:
        raise ValueError(f"{name} takes images, so it is no generator: name one that takes latents (N, D)")
    space = _space(about, shape, name)
    classes = _classes(about, like, name) if len(program.inputs) == 2 else None

    def run(latents: Tensor, *labels: Tensor) -> Tensor:
        shaped = latents.reshape(latents.shape[0], *(side or 1 for side in shape[1:]))
        return in_pieces(program.run, (shaped, *labels), shape[0])

    return Opened(run, space, classes, about, path)


def _program_source(
    path: Path, *, name: str, num_samples: int, seed: int, like: Shares | None, device: torch.device | str
) -> Source:
    found = opened_program(path, like=like, name=name, device=device)
    asked = asked_of(found.classes, like=like, own=found.about.get("class_counts")) if found.classes else None
    labels = asked.labels(torch.arange(num_samples), seed) if asked else None

    @torch.no_grad()
    def raw(numbers: Tensor) -> Tensor:
        latents = found.space.draw(seed, numbers)
        return found.run(latents) if labels is None else found.run(latents, labels[numbers])

    return drawn_source(
        raw,
        name=name,
        num_samples=num_samples,
        protocol=f"{latent_words(found.space)}, seed {seed}",
        digest=found.about.get("digest") or file_digest(path)[:12],
        labels=labels,
        classes=found.classes,
        asked=asked.words if asked else "",
        device=device,
    )


def in_pieces(run: Callable[..., Tensor], given: tuple[Tensor, ...], size: int | None) -> Tensor:
    """Run a program of fixed batch size on parts of a batch; the last part is padded with its own last row."""
    if size is None:
        return run(*given)
    pieces = []
    for parts in zip(*(tensor.split(size) for tensor in given), strict=True):
        missing = size - len(parts[0])
        filled = (torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) for part in parts)
        pieces.append(run(*filled)[: len(parts[0])])
    return torch.cat(pieces)


def _check_inputs(name: str, inputs: tuple[Input, ...]) -> None:
    shapes = ", ".join(str(tuple("N" if side is None else side for side in each.shape)) for each in inputs)
    latents = inputs[0] if inputs else Input((), True)
    if len(inputs) not in (1, 2) or latents.whole or len(latents.shape) < 2 or None in latents.shape[1:]:
        raise ValueError(f"{name} takes {shapes or 'nothing'}: a generator takes latents (N, D), and labels (N,)")
    if len(inputs) == 2 and (not inputs[1].whole or len(inputs[1].shape) != 1):
        raise ValueError(f"{name} takes {shapes}: its second input must be labels (N,), whole numbers")


def _space(about: dict[str, Any], shape: tuple[int | None, ...], name: str) -> LatentSpace:
    dim = math.prod(side or 1 for side in shape[1:])
    space = LatentSpace(**about["latents"]) if "latents" in about else LatentSpace(dim)
    if space.dim != dim:
        raise ValueError(f"{name} takes {dim} latents, its config.json says {space.dim}: export it again")
    return space


def _classes(about: dict[str, Any], like: Shares | None, name: str) -> tuple[str, ...]:
    """As the exporter named them, else as the real images have them."""
    known = tuple(about.get("classes", ())) or (like.classes if like is not None else ())
    if not known:
        raise ValueError(f"{name} takes labels, of an unknown number of classes: give the --data that has them")
    return known


def _about(folder: Path) -> dict[str, Any]:
    """The config.json of `advgan export`; empty where there is none, or it is somebody else's."""
    found = read_exported(folder)
    return found.model_dump(exclude_none=True) if found and found.kind == "generator" else {}
