"""Image files in a folder or an archive to score: in class folders, or without classes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from advgan.config import DataConfig
from advgan.data import ImageSet
from advgan.data.reading.archive import base_name, is_archive, open_archive
from advgan.data.reading.collection import Collection
from advgan.data.reading.files import Files
from advgan.data.reading.folder import list_folder
from advgan.data.reading.gather import decode_layout, decoding
from advgan.data.reading.layout import Layout, read_flat, read_layout
from advgan.data.reading.pixels import SUFFIXES
from advgan.data.reading.store import stored, take
from advgan.data.split import rows_to_learn
from advgan.harmless import printable
from advgan.intake.regular import state
from advgan.storage.cache import cache_dir
from evaluation.inputs.stored import Found

_LOSSY = (".jpg", ".jpeg")
_COUNT_FILE = "lossy.txt"


def read_image_files(path: Path, config: DataConfig, *, workers: int = 0, cache: Path | None = None) -> Found:
    """Read a folder or an archive, decoded once into the cache, and again when a file in it has changed.

    Folders in it are classes, or splits, of which the training images are taken, or all where there are none; images
    that lie in one place have the classes of a table beside them, or none. Raises ValueError in one line where there
    are no images, or where some cannot be read, differ in size or colour, or lie both beside folders and in them.
    """

    def build(folder: Path) -> Collection:
        with _opened(path, folder) as files:
            lossy = sum(name.lower().endswith(_LOSSY) for name in files.images)
            (folder / _COUNT_FILE).write_text(str(lossy))
            layout = layout_to_score(files)
            return decode_layout(
                files, layout, folder, config, name=base_name(path), workers=workers, check=lambda _: None
            )

    key = ["scored", str(path.resolve()), _state_of(path), *decoding(config)]
    collection, folder = stored(cache or cache_dir(), key, build)
    rows = rows_to_learn(collection.origin)
    images = ImageSet(
        take(collection, rows, folder=folder, part="scored"),
        torch.from_numpy(collection.labels[rows]),
        collection.classes,
        collection.name,
    )
    labelled = len(collection.classes) > 0
    lossy = int((folder / _COUNT_FILE).read_text())
    return Found(images, labelled, named=labelled, lossy=lossy, skipped=len(collection.skipped))


def layout_to_score(files: Files) -> Layout:
    """The layout of class folders; where all images lie in one place, classes are those of a table beside them."""
    if not files.images:
        raise ValueError(f"{files.name} holds no images ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    places = sorted({name.rpartition("/")[0] for name in files.images})
    if len(places) == 1:
        return read_flat(files)
    if places[0] == "":
        raise ValueError(
            f"{files.name} holds images beside folders of images, such as {printable(places[1])}/: name the folder "
            "that is meant"
        )
    return read_layout(files)


@contextmanager
def _opened(path: Path, scratch: Path) -> Iterator[Files]:
    if not is_archive(path):
        yield list_folder(path)[0]
        return
    with tempfile.TemporaryDirectory(dir=scratch) as place, open_archive(path, scratch=Path(place)) as files:
        yield files


def _state_of(path: Path) -> object:
    """What changes when the files do."""
    if not is_archive(path):
        return list_folder(path)[1]
    return state(path.stat())
