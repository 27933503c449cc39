"""Store a collection as a folder of the cache; large ones are memory-mapped when read."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from advgan.data.reading.collection import Collection, Labels
from advgan.data.reading.pixels import Pixels
from advgan.storage.cache import cached

FORMAT = 1  # raised whenever decoding changes, so that old folders are not read
MAPPED_ABOVE_BYTES = 1 << 30
_COPIED_AT_ONCE = 1 << 26  # bytes


def stored(cache: Path, key: object, build: Callable[[Path], Collection]) -> tuple[Collection, Path]:
    """Return the collection cached under `key` and its folder; `build` makes it where the cache lacks it.

    `key` is plain data (JSON) with everything that the content depends on. `build` gets the folder and may write
    `images.npy` into it itself, with `ImageWriter`.
    """
    name = sha256(json.dumps([FORMAT, key]).encode()).hexdigest()[:24]
    folder = cached(cache / "images" / name, lambda temporary: save(temporary, build(temporary)))
    return load(folder), folder


class ImageWriter:
    """Append images to a `.npy` file whose number of rows is known only at the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self.shape: tuple[int, ...] | None = None
        self._file = path.open("wb")
        self._file.write(_header(0, (3, 1024, 1024)))

    def append(self, images: Pixels) -> None:
        """Write one image (C,H,W) or several (N,C,H,W); all have one shape."""
        images = images.reshape(-1, *images.shape[-3:])
        self.shape = self.shape or images.shape[1:]
        assert images.shape[1:] == self.shape
        self._file.write(np.ascontiguousarray(images).data)
        self.count += len(images)

    def close(self) -> None:
        """Write the final header and flush to the disk, so that a power cut cannot leave a truncated file."""
        self._file.seek(0)
        self._file.write(_header(self.count, self.shape or (1, 1, 1)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


@contextmanager
def writing(path: Path) -> Iterator[ImageWriter]:
    """Open an `ImageWriter` for the block."""
    writer = ImageWriter(path)
    try:
        yield writer
    finally:
        writer.close()


def save(folder: Path, collection: Collection) -> None:
    """Write a collection to a folder, whose `images.npy` may be there already."""
    if not (folder / "images.npy").exists():
        with writing(folder / "images.npy") as writer:
            writer.append(collection.images)
    np.save(folder / "labels.npy", collection.labels)
    np.save(folder / "origin.npy", collection.origin)
    about = {
        "name": collection.name,
        "classes": collection.classes,
        "shares": collection.shares,
        "skipped": collection.skipped,
        "unlabelled": collection.unlabelled,
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def load(folder: Path) -> Collection:
    """Read a collection from a folder of the cache."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return Collection(
            name=about["name"],
            images=open_images(folder / "images.npy"),
            labels=np.load(folder / "labels.npy"),
            origin=np.load(folder / "origin.npy"),
            classes=tuple(about["classes"]),
            shares=(about["shares"][0], about["shares"][1]),
            skipped=tuple(about["skipped"]),
            unlabelled=about.get("unlabelled", ""),
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"the cache folder {folder} is damaged ({error}); delete it to make it anew") from None


def open_images(path: Path) -> Pixels:
    """Load images, or map them above `MAPPED_ABOVE_BYTES`; what is written to mapped images stays in memory."""
    large = path.stat().st_size > MAPPED_ABOVE_BYTES
    images: Pixels = np.load(path, mmap_mode="c" if large else None)
    return images


def take(collection: Collection, rows: Labels, *, folder: Path | None, part: str) -> Tensor:
    """Return the images of some rows: a view where the rows are contiguous, else a copy.

    The copy of a large set is written to `folder` (which is in the cache) as `part`, and mapped from there.
    """
    images = collection.images
    if not len(rows):
        return torch.from_numpy(images[:0].copy())
    first = int(rows[0])
    if len(rows) == int(rows[-1]) + 1 - first:
        return torch.from_numpy(images[first : first + len(rows)])
    if folder is None or images.nbytes <= MAPPED_ABOVE_BYTES:
        return torch.from_numpy(images[rows])

    def copy(temporary: Path) -> None:
        at_once = max(1, _COPIED_AT_ONCE // images[0].nbytes)
        with writing(temporary / "images.npy") as writer:
            for start in range(0, len(rows), at_once):
                writer.append(images[rows[start : start + at_once]])

    return torch.from_numpy(open_images(cached(folder / part, copy) / "images.npy"))


def _header(count: int, shape: tuple[int, ...]) -> bytes:
    """The head of a `.npy` file; its padding makes it equally long for any number of rows."""
    file = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(file, description)
    assert file.tell() == 128
    return file.getvalue()
