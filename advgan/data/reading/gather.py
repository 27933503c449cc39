"""Image files to a collection, decoded once into the cache."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from advgan.config import DataConfig
from advgan.data.reading.archive import base_name, open_archive
from advgan.data.reading.collection import Collection, Labelled
from advgan.data.reading.decode import decode
from advgan.data.reading.files import Files
from advgan.data.reading.folder import list_folder
from advgan.data.reading.layout import Layout, read_layout
from advgan.data.reading.store import open_images, stored, writing
from advgan.intake.regular import state

Stored = tuple[Collection, Path]
Check = Callable[[Labelled], object]


def gather_folder(root: Path, config: DataConfig, *, cache: Path, workers: int, check: Check) -> Stored:
    """Read a folder. It is decoded again when a name in it or the state of a file has changed."""
    files, listing = list_folder(root)
    key = ["folder", str(root.resolve()), listing, *decoding(config)]
    name = root.resolve().name

    def build(folder: Path) -> Collection:
        return decode_layout(files, read_layout(files), folder, config, name=name, workers=workers, check=check)

    return stored(cache, key, build)


def gather_archive(path: Path, config: DataConfig, *, cache: Path, workers: int, check: Check) -> Stored:
    """Read an archive. It is decoded again when its state has changed."""
    name = base_name(path)

    def build(folder: Path) -> Collection:
        with open_archive(path, scratch=folder) as files:
            return decode_layout(files, read_layout(files), folder, config, name=name, workers=workers, check=check)

    key = ["archive", str(path.resolve()), state(path.stat()), *decoding(config)]
    return stored(cache, key, build)


def decode_layout(
    files: Files, layout: Layout, folder: Path, config: DataConfig, *, name: str, workers: int, check: Check
) -> Collection:
    """Decode the files of a layout into `images.npy` in `folder`.

    `check` may raise ValueError: it sees the labels before anything is decoded, and once more without bad images.
    """
    check(layout)
    path = folder / "images.npy"
    with writing(path) as writer:
        decoded = decode(
            files,
            layout.names,
            writer,
            size=config.resize,
            channels=config.channels,
            skip_bad=config.skip_bad,
            workers=workers,
        )
    kept = layout.keep(decoded.kept)
    missing = np.setdiff1d(layout.labels, kept.labels)
    if len(missing):
        kind = layout.classes[missing[0]]
        raise ValueError(f"{files.name}: no image of the class {kind} can be read, first: {decoded.skipped[0]}")
    check(kept)
    return Collection(
        name=name,
        images=open_images(path),
        labels=kept.labels,
        origin=kept.origin,
        classes=kept.classes,
        skipped=decoded.skipped,
        unlabelled=kept.unlabelled,
    )


def decoding(config: DataConfig) -> list[object]:
    """What of the configuration changes the pixels; the seed of the split does not."""
    return [config.resize, config.channels, config.skip_bad]
