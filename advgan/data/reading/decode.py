"""Decode many image files in parallel into one array on disk, and collect those that cannot be read."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from advgan.data.reading.files import Files
from advgan.data.reading.pixels import Pixels, read_pixels
from advgan.data.reading.store import ImageWriter
from advgan.harmless import printable

_CHUNK = 64  # images a task: small enough for a smooth bar, large enough to hide the cost of a task


class Decoded(NamedTuple):
    """Which of the files were written, and for the others the name with the reason."""

    kept: npt.NDArray[np.bool_]
    skipped: tuple[str, ...]


def decode(
    files: Files,
    names: Sequence[str],
    writer: ImageWriter,
    *,
    size: int | None,
    channels: int | None,
    skip_bad: bool,
    workers: int,
) -> Decoded:
    """Decode the named files, in order, with `workers` threads (0: none), and append them to the writer.

    Raises ValueError where images cannot be read and `skip_bad` is off, where none can, where they are not square, and
    where their sizes or channels differ (at the first that does).
    """
    kept, skipped, first = np.zeros(len(names), dtype=bool), list[str](), ""
    with (
        warnings.catch_warnings(),
        tqdm(total=len(names), desc=printable(f"Reading {files.name}"), unit=" images", disable=None) as bar,
    ):
        warnings.simplefilter("ignore")  # Pillow's remarks about odd files, which say less than our own errors
        for number, image in enumerate(_images(files, names, size=size, channels=channels, workers=workers)):
            bar.update()
            if isinstance(image, str):
                skipped.append(f"{printable(names[number])} ({printable(image)})")
                continue
            if not first:
                first = names[number]
                _check_square(files, first, image)
            elif image.shape != writer.shape:
                raise ValueError(_mixture(files, first, writer.shape or (), names[number], image.shape))
            writer.append(image)
            kept[number] = True
    if skipped and (not skip_bad or not kept.any()):
        way_out = "--skip-bad leaves them out" if kept.any() else "there is nothing to learn from"
        raise ValueError(
            f"{files.name}: {len(skipped):,} of {len(names):,} images cannot be read, first: {skipped[0]}; {way_out}"
        )
    return Decoded(kept, tuple(skipped))


def _images(
    files: Files, names: Sequence[str], *, size: int | None, channels: int | None, workers: int
) -> Iterator[Pixels | str]:
    """Yield the pixels of each file, or the reason why there are none, in order."""

    stopped = Event()

    def read(chunk: Sequence[str]) -> list[Pixels | str]:
        return [_read(files, name, size=size, channels=channels) for name in chunk if not stopped.is_set()]

    chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    if workers < 1:
        for chunk in chunks:
            yield from read(chunk)
        return
    pending: deque[Future[list[Pixels | str]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for chunk in chunks:
            pending.append(pool.submit(read, chunk))
            if len(pending) > 2 * workers:  # bounded, so that a slow disk does not fill the memory
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        stopped.set()  # an interrupt waits for the images that are being decoded, and for no more
        pool.shutdown(cancel_futures=True)


def _read(files: Files, name: str, *, size: int | None, channels: int | None) -> Pixels | str:
    try:
        return read_pixels(files.open(name), size=size, channels=channels)
    except ValueError as error:
        return str(error)


def _check_square(files: Files, name: str, image: Pixels) -> None:
    _, height, width = image.shape
    if height != width:
        raise ValueError(
            f"{files.name}: images must be square, {printable(name)} is {width}x{height}; "
            f"--resize {min(height, width)} takes the middle square of each"
        )


def _mixture(files: Files, first: str, shape: tuple[int, ...], other: str, other_shape: tuple[int, ...]) -> str:
    pair = ((printable(first), shape), (printable(other), other_shape))
    if shape[1:] != other_shape[1:]:
        sizes = ", ".join(f"{name} is {width}x{height}" for name, (_, height, width) in pair)
        return (
            f"{files.name}: images differ in size: {sizes}; "
            f"--resize {min(*shape[1:], *other_shape[1:])} makes them one size"
        )
    kinds = ", ".join(f"{name} is {'grey' if channels == 1 else 'colour'}" for name, (channels, _, _) in pair)
    return f"{files.name}: grey and colour images are mixed: {kinds}; --channels 3 or --channels 1 makes them alike"
