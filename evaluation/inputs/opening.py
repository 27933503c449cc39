"""Open whatever a user names or passes for scoring, as a `Source` of images or as `Statistics`."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advgan.classifier.sources import holds_weights, no_architecture
from advgan.config import DataConfig
from advgan.config.places import is_python_source
from advgan.data import ANY_IMAGES, KNOWN, Data, ImageSet, load_data, load_images
from advgan.data.hugging_face import is_by_name, is_hugging_face
from advgan.data.reading.archive import is_archive
from advgan.data.reading.arrays import AnyArray
from advgan.data.reading.pixels import is_image
from advgan.data.stacked import PREFIX
from advgan.intake.regular import at_home, check_regular
from advgan.sampling.stored import TrainedGan, load_gan
from attacks.arrays import as_tensor
from evaluation.inputs.array_images import found_array, read_array_file
from evaluation.inputs.asked import Shares
from evaluation.inputs.exported import exported_source, is_exported
from evaluation.inputs.generated import function_source, gan_source, module_source
from evaluation.inputs.image_files import read_image_files
from evaluation.inputs.python_objects import name_of, object_from_python, takes_two
from evaluation.inputs.source import Source
from evaluation.inputs.statistics import Statistics
from evaluation.inputs.stored import Found, stored_source

FORMS = (
    "the run or checkpoint of a GAN, a folder or archive of images, .npz, .npy, .pt, .pt2, .onnx, FILE.py:OBJECT or a "
    "data set's name"
)
FEWEST = 2
"""Images: a single one has no spread, and no score."""


def open_source(
    spec: Any,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    data: Data | None = None,
    like: Source | None = None,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> Source | Statistics:
    """Open what is to be scored: a string or path of one of `FORMS`, or an object from Python.

    Objects are a `DataConfig` (a path with how to read it), an `ImageSet`, a `TrainedGan`, a tensor or array of images,
    a pair of images and labels, an `nn.Module` with `latent_dim`, and a function of (indices, seed).

    `num_samples` images are drawn, or taken of a stored set without replacement; None takes all of a stored set.
    `data`, where given, are what it is held against: size and channels must agree, and labels become its class numbers.
    A conditional generator is asked for classes in the shares of `like`, where these real images are labelled, else of
    the training images of `data`, else of its own.
    Raises ValueError in one line, naming the source, for whatever is wrong with it. Runs the user's own Python only for
    FILE.py:OBJECT; no pickle is ever read.
    """
    opening = _Opening(
        num_samples=num_samples, seed=seed, data=data, like=_shares(data, like), device=device, workers=workers
    )
    found = opening.open(spec)
    if isinstance(found, Source):
        _check_fits(found, data)
        if found.count < FEWEST:
            raise ValueError(f"{found.name} gives {found.count} image: scores need {FEWEST} at least, better thousands")
    return found


def _shares(data: Data | None, like: Source | None) -> Shares | None:
    if like is not None and like.labels is not None and like.classes:
        return Shares(like.name, like.classes, tuple(like.labels.bincount(minlength=len(like.classes)).tolist()))
    return Shares.of(data) if data is not None and data.num_classes else None


class _Opening:
    """The settings of one call, which every kind of source takes some of."""

    def __init__(
        self,
        *,
        num_samples: int | None,
        seed: int,
        data: Data | None,
        like: Shares | None,
        device: torch.device | str,
        workers: int,
    ) -> None:
        if num_samples is not None and num_samples < FEWEST:
            raise ValueError(f"num_samples {num_samples} is too few to score: use {FEWEST} at least, better thousands")
        self.num_samples, self.seed, self.data, self.device, self.workers = num_samples, seed, data, device, workers
        self.like = like

    def open(self, spec: Any) -> Source | Statistics:
        if isinstance(spec, DataConfig):
            return self._named(spec.source, spec)
        if isinstance(spec, (str, os.PathLike)):
            return self._named(os.fspath(spec), DataConfig(source=os.fspath(spec)))
        return self._object(spec, name_of(spec))

    def _object(self, spec: Any, name: str) -> Source:
        if isinstance(spec, ImageSet):
            return self._stored(Found(spec, labelled=spec.num_classes > 0, named=True), spec.name or name)
        if isinstance(spec, TrainedGan):
            return self._of_gan(spec, name)
        if isinstance(spec, nn.Module):
            wanted = self._wanted(name)
            return module_source(
                spec, name=name, num_samples=wanted, seed=self.seed, like=self.like, device=self.device
            )
        if isinstance(spec, (Tensor, np.ndarray, tuple, list)):
            return self._stored(_found_object(spec, name, points=self._points), name)
        if callable(spec):
            if not takes_two(spec):
                raise ValueError(
                    f"{name} cannot be called with two arguments: a function to score is given (indices, seed), the "
                    "numbers of the images as a tensor and a whole number, and returns those images"
                )
            return function_source(spec, name=name, num_samples=self._wanted(name), seed=self.seed, device=self.device)
        raise ValueError(f"a {type(spec).__name__} cannot be scored: give {FORMS}, a tensor, a module or a function")

    def _named(self, spec: str, config: DataConfig) -> Source | Statistics:
        if is_python_source(spec):
            return self._object(object_from_python(spec), spec)
        if spec.lower() in KNOWN or spec.lower().startswith(PREFIX):
            images = load_data(config, workers=self.workers, use=ANY_IMAGES).train
            return self._stored(Found(images, labelled=images.num_classes > 0, named=True), f"{spec}/train")
        path = at_home(spec)
        if not path.is_dir():
            check_regular(path, what=spec)
        if is_by_name(spec) or (os.path.exists(path) and is_hugging_face(spec)):
            images = load_images(config, workers=self.workers)
            return self._stored(Found(images, labelled=images.num_classes > 0, named=True), spec)
        if not os.path.exists(path):
            raise ValueError(f"nothing at {spec} to score: give {FORMS}")
        return self._folder(path, spec, config) if path.is_dir() else self._file(path, spec, config)

    def _folder(self, path: Path, spec: str, config: DataConfig) -> Source:
        if is_exported(path):
            return self._exported(path, spec)
        if (path / "checkpoints").is_dir():
            return self._gan(path, spec)
        if (path / "results.json").is_file() and (path / "images").is_dir():
            path = path / "images"  # a run of advgan sample, with its grid and report beside
        return self._stored(read_image_files(path, config, workers=self.workers), spec)

    def _file(self, path: Path, spec: str, config: DataConfig) -> Source | Statistics:
        ending = path.suffix.lower()
        if holds_weights(path):
            raise no_architecture(path)
        if is_archive(path):
            return self._stored(read_image_files(path, config, workers=self.workers), spec)
        if ending in (".npz", ".npy", ".pt", ".pth"):
            found = read_array_file(path, config, name=spec, points=self._points)
            return found if isinstance(found, Statistics) else self._stored(found, spec)
        if ending in (".pt2", ".onnx") or (ending == ".safetensors" and is_exported(path.parent)):
            return self._exported(path, spec)
        if ending == ".safetensors":
            return self._gan(path, spec)
        raise ValueError(_unreadable(spec, ending))

    def _gan(self, path: Path, spec: str) -> Source:
        return self._of_gan(load_gan(path, device=self.device), spec, name=spec)

    def _of_gan(self, gan: TrainedGan, spec: str, *, name: str | None = None) -> Source:
        wanted = self._wanted(spec)
        return gan_source(gan, num_samples=wanted, seed=self.seed, device=self.device, name=name, like=self.like)

    def _exported(self, path: Path, spec: str) -> Source:
        wanted = self._wanted(spec)
        return exported_source(path, name=spec, num_samples=wanted, seed=self.seed, like=self.like, device=self.device)

    def _stored(self, found: Found, name: str) -> Source:
        return stored_source(
            found, name=name, num_samples=self.num_samples, seed=self.seed, data=self.data, device=self.device
        )

    def _wanted(self, name: str) -> int:
        if self.num_samples is None:
            raise ValueError(f"{name} draws any number of images: say how many (num_samples, -n)")
        return self.num_samples

    @property
    def _points(self) -> bool:
        return self.data is not None and self.data.train.are_points


def _found_object(spec: Any, name: str, *, points: bool) -> Found:
    """A tensor, an array or a list of images, or a pair of them and their labels."""
    parts = [_array(part, name) for part in spec] if isinstance(spec, (tuple, list)) and len(spec) == 2 else []
    if parts and 0 < parts[1].ndim < min(parts[0].ndim, 3):
        return found_array(name, parts[0], parts[1], DataConfig(), points=points)
    if isinstance(spec, tuple) or (isinstance(spec, list) and not spec):
        raise ValueError(f"a {name} of {len(spec)} cannot be scored: give a tensor, or a pair (images, labels)")
    return found_array(name, _array(spec, name), None, DataConfig(), points=points)


def _array(values: Any, name: str) -> AnyArray:
    return values if isinstance(values, np.ndarray) else as_tensor(values, name).detach().cpu().numpy()


def _check_fits(source: Source, data: Data | None) -> None:
    if data is None or (source.size, source.channels) == (data.size, data.channels):
        return
    raise ValueError(
        f"{source.name} has {source.channels}x{source.size}x{source.size} images, {data.name} "
        f"{data.channels}x{data.size}x{data.size}: give the data that belong to it, or bring both to one form with "
        + alike(source, size=data.size, channels=data.channels)
    )


def alike(source: Source, *, size: int, channels: int) -> str:
    """The options that read images of another form and those of a source alike: what is drawn stays as it is."""
    wanted = (size, channels) if source.stored else (source.size, source.channels)
    ways = [f"--resize {wanted[0]}"] if source.size != size else []
    ways += [f"--channels {wanted[1]}"] if source.channels != channels else []
    return " ".join(ways)


def _unreadable(spec: str, ending: str) -> str:
    if ending == ".py":
        return f"{spec} is a Python file: name the generator or function in it, {spec}:OBJECT"
    if ending in (".pkl", ".pickle", ".p"):
        return f"{spec} is a pickle, which could run code: refused; export the generator as .pt2 or .onnx instead"
    if is_image(spec):
        return f"{spec} is a single image: name the folder that it lies in"
    return f"{spec} cannot be scored: give {FORMS}"
