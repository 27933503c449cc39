"""A cache of features, keyed by the content of everything that they depend on.

The key holds digests of images and weights, not names, so other images or weights under an old name are another entry.
The files hold tensors and JSON, no pickle, and are checked when they are read.
"""

import json
import logging
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from advgan.machine.precision import MEASURED
from advgan.storage.cache import cache_dir, say_unkept
from advgan.storage.checkpoints import SUFFIX, load_checkpoint, save_checkpoint
from evaluation.features.features import Extractor, Features
from evaluation.inputs.source import Source

FORMAT = 2
"""Raised whenever the way from images to features changes, so that old entries are not read."""
KIND = "features"

log = logging.getLogger("advgan")


def arithmetic(device: torch.device | str = "cpu") -> str:
    """What decides the last bits of a feature: kind of device, types of numbers, and the library."""
    kind = torch.device(device).type
    precision = torch.get_float32_matmul_precision() if kind == "cpu" else MEASURED
    return f"{kind}, {torch.get_default_dtype()}, {precision}, torch {torch.__version__}"


@dataclass(frozen=True)
class FeatureCache:
    """Features of stored images in a folder; only an extractor and a source whose digests are known are kept."""

    folder: Path = field(default_factory=lambda: cache_dir() / "features")
    arithmetic: str = field(default_factory=arithmetic)

    def read(self, source: Source, extractor: Extractor, batch_size: int) -> Features | None:
        """The features of an earlier look, the same bits; None where there are none, or the file is damaged."""
        key = key_of(source, extractor, batch_size=batch_size, arithmetic=self.arithmetic)
        file = self.file(key)
        if not is_kept(source, extractor) or not os.path.isfile(file):
            return None
        try:
            values, probabilities = _tensors(file, key, source.count)
        except ValueError as error:
            log.warning("%s: the features are made anew", error)
            return None
        return Features(
            values, probabilities, extractor.name, extractor.digest, extractor.protocol, extractor.confidence
        )

    def write(self, source: Source, extractor: Extractor, batch_size: int, features: Features) -> None:
        """Keep features, whole or not at all; a folder that cannot be written is said, and no reason to stop."""
        if not is_kept(source, extractor):
            return
        key = key_of(source, extractor, batch_size=batch_size, arithmetic=self.arithmetic)
        state = {"values": features.values.cpu(), "probabilities": features.probabilities.cpu()}
        config = {"key": key}
        try:
            save_checkpoint(self.file(key), kind=KIND, config=config, state=state)
        except OSError as error:
            say_unkept("features", self.file(key), error)

    def file(self, key: dict[str, Any]) -> Path:
        """Where the features of a key lie."""
        name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
        return self.folder / f"{name}{SUFFIX}"


def is_kept(source: Source, extractor: Extractor) -> bool:
    """Whether digests name all that the features depend on: those of a generator's code do not."""
    return source.stored and bool(source.digest) and bool(extractor.digest)


def key_of(source: Source, extractor: Extractor, *, batch_size: int, arithmetic: str) -> dict[str, Any]:
    """Everything that features depend on, as plain data; products round differently in batches of another size."""
    return {
        "format": FORMAT,
        "data": source.digest,
        "shape": [source.count, source.channels, source.size],
        "rows": None if source.rows is None else sha256(source.rows.numpy().astype("<i8").tobytes()).hexdigest(),
        "extractor": extractor.name,
        "weights": extractor.digest,
        "protocol": extractor.protocol,
        "rounds": extractor.rounds,
        "batch_size": batch_size,
        "arithmetic": arithmetic,
    }


def _tensors(file: Path, key: dict[str, Any], count: int) -> tuple[Tensor, Tensor]:
    """Read an entry and hold it against what it must be; ValueError, naming the file, where it is not."""
    found = load_checkpoint(file, kind=KIND)
    try:
        honest = found.config == {"key": key}
        values, probabilities = found.state["values"], found.state["probabilities"]
    except (AttributeError, KeyError):  # a state of other things than these tensors
        honest = False
    if not honest:
        raise ValueError(f"{file} is damaged (its content is not what its header says)")
    if len(values) != count or len(probabilities) != count:
        raise ValueError(f"{file} is damaged (it holds {len(values)} features of {count} images)")
    return values, probabilities
