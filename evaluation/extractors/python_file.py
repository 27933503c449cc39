"""Extractors from a user's own Python file."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from advgan.models.classifiers.python_source import at_rest, called, object_in
from advgan.storage.checkpoints import parameters_digest
from attacks.foreign import Guarded, started
from attacks.random import seeded
from evaluation.features.features import INCEPTION, Extractor, Look, as_double, single_class


def python_extractor(source: str, *, device: torch.device | str = "cpu") -> Extractor:
    """Run a Python file and take an extractor from it: `file.py:object`.

    The object is a module, an Extractor, or a function without arguments that returns one. A module takes images
    (N, C, H, W) in [0, 1] and gives features (N, D), or those with logits (N, classes); it is put into eval mode.
    Results call it `file:object`. Raises ValueError in one line where the object is something else, and, once it is
    looked through, for features of another shape.
    """
    path, _, attribute = source.rpartition(":")
    with seeded(0), started(source):
        found = object_in(source)
        if callable(found) and not isinstance(found, nn.Module):
            found = called(found, source, {})
    name = f"{Path(path).stem}:{attribute}"
    if isinstance(found, Extractor):
        if found.name.partition("@")[0] == INCEPTION:
            raise ValueError(f"{source} calls itself {found.name}: that name is kept for the Inception-v3 of the FID")
        return replace(found, name=found.name or name, function=_guarded(found.function, source), is_foreign=True)
    if not isinstance(found, nn.Module):
        raise ValueError(
            f"{source} is of type {type(found).__name__}: an nn.Module, an Extractor, or a function giving one, is "
            "needed"
        )
    return module_extractor(found, name=name, device=device)


def module_extractor(network: nn.Module, *, name: str, device: torch.device | str = "cpu") -> Extractor:
    """Look through any module that makes features (N, D), or (features, logits), of images in [0, 1]."""
    at_rest(network).to(device)
    digest = parameters_digest(network.state_dict())

    @torch.no_grad()
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        with Guarded(name):
            given = network(images.to(device))
        features, logits = given if isinstance(given, tuple | list) and len(given) == 2 else (given, None)
        for each, what in ((features, "features"), (logits, "logits")):
            if each is not None and (not isinstance(each, Tensor) or each.shape != (len(images), *each.shape[1:2])):
                raise ValueError(
                    f"{name} gives {what} {_shape(each)} for {len(images)} images: (N, D) is needed, or a pair of "
                    "(N, D) and logits (N, classes)"
                )
        features = features if features.is_floating_point() else features.float()
        return features, single_class(features) if logits is None else as_double(logits).softmax(dim=1)

    return Extractor(name, digest, look, f"features of {name} {digest}", is_foreign=True)


def _guarded(look: Look, name: str) -> Look:
    def guarded(images: Tensor) -> tuple[Tensor, Tensor]:
        with Guarded(name):
            return look(images)

    return guarded


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"of type {type(value).__name__}"
