"""Published weights: found or downloaded, checked by their SHA-256 each time, and read without running code."""

import os
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advgan.intake.regular import at_home
from advgan.storage.cache import cache_dir, cached
from advgan.storage.seal import file_digest
from advgan.storage.space import disk_trouble

_TIMEOUT_SECONDS = 30
_INSTEAD = "or score with a classifier's features instead"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One file of published weights."""

    network: str
    """Name of the network in messages."""
    files: tuple[str, ...]
    """Names under which libraries keep these bytes; a download gets the first."""
    url: str
    sha256: str
    variable: str
    """The environment variable that may name the file."""

    @property
    def folder(self) -> Path:
        """Where a download is kept."""
        return cache_dir() / self.network.lower().replace(" ", "-")

    @property
    def way_out(self) -> str:
        """What to do where the file cannot be had."""
        return f"put {self.files[0]} from {self.url} into {self.folder}, name it in {self.variable}, {_INSTEAD}"


def find_weights(weights: Weights, path: Path | None = None) -> Path:
    """Find the file with this SHA-256: `path`, else the one that the environment names, else cached, else downloaded.

    The caches are ours and torch's. Raises ValueError where a named file is missing or has another hash, where the
    cached one is damaged, and where the file cannot be downloaded.
    """
    named = path or _named(weights)
    if named is not None:
        if not named.is_file():
            raise ValueError(f"no {weights.network} weights at {named}: {weights.way_out}")
        if file_digest(named) != weights.sha256:
            raise ValueError(f"{named} is not the file with sha256 {weights.sha256[:8]}...: {weights.way_out}")
        return named
    folders = (weights.folder, Path(torch.hub.get_dir()) / "checkpoints")
    known = [file for folder in folders for name in weights.files if (file := folder / name).is_file()]
    found = next((file for file in known if file_digest(file) == weights.sha256), None)
    if found is not None:
        return found
    damaged = next((file for file in known if file.parent == weights.folder), None)
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged: delete it and run again, or {weights.way_out}")
    return cached(weights.folder, lambda folder: _download(weights, folder)) / weights.files[0]


def read_plain(weights: Weights, file: Path) -> dict[str, Any]:
    """Read a state dict and nothing that could run code: ValueError where the file holds more than that."""
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
    except Exception:  # unpickling errors have no common type
        state = None
    if not isinstance(state, dict):
        raise ValueError(f"{file} holds no plain weights: {weights.way_out}") from None
    return state


def built_with(weights: Weights, file: Path, build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose class reads the file itself; ValueError where the weights are another network's."""
    try:
        return build()
    except (RuntimeError, KeyError, AttributeError):
        raise ValueError(f"{file} holds the weights of another network: {weights.way_out}") from None


def _named(weights: Weights) -> Path | None:
    chosen = os.environ.get(weights.variable)
    return at_home(chosen) if chosen else None


def _download(weights: Weights, folder: Path) -> None:
    file = folder / weights.files[0]
    try:
        with urllib.request.urlopen(weights.url, timeout=_TIMEOUT_SECONDS) as response, file.open("wb") as target:
            shutil.copyfileobj(response, target)
    except OSError as error:
        if disk_trouble(error):
            raise
        reason = getattr(error, "reason", None) or error
        raise ValueError(f"the {weights.network} weights cannot be downloaded ({reason}): {weights.way_out}") from None
    if file_digest(file) != weights.sha256:
        raise ValueError(f"the download of {file.name} is damaged or replaced (its sha256 differs): {weights.way_out}")
