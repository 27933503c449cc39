"""Writing a file or a folder so that a crash leaves the old content or the new one, never half of either."""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from advgan.machine.signals import unfinished
from advgan.storage.lock import refuse_deleted
from advgan.storage.space import size_of, told

ABANDONED_AFTER_SECONDS = 24 * 3600
"""A temporary file or folder of this age belongs to a process that was killed."""


@contextmanager
def replacing(path: Path, *, size: int = 0) -> Iterator[Path]:
    """Give a temporary name beside `path`, of the same suffix, to write to; then flush it to the disk and rename it.

    Makes the folder if need be, unless it belongs to a run that was deleted meanwhile. The file gets the mode that the
    umask gives to new files, whatever the library that wrote it thinks. After an exception the old file is as it was
    and the temporary one is gone; an OSError names `path`, and on a full disk the bytes that it needs: `size` where it
    is known before, else what was written until then.
    """
    try:
        refuse_deleted(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(path)
        with temporarily(path) as temporary:
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode & 0o777
            try:
                yield temporary
                temporary.chmod(mode)
                _flush(temporary)
                os.replace(temporary, path)
            finally:
                size = max(size, size_of(temporary))
        flush_folder(path.parent)
    except OSError as error:
        raise told(error, path, size=size) from error


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write a whole file, text as UTF-8, so that a reader sees the old one or the new one."""
    whole = content.encode() if isinstance(content, str) else content
    with replacing(path, size=len(whole)) as temporary:
        temporary.write_bytes(whole)
    return path


@contextmanager
def streaming(path: Path) -> Iterator[IO[bytes]]:
    """Give a stream to write a file through, as `replacing` does; a full disk is told at the end of the block alone.

    For torch's writers of archives, which end the whole process where a write fails.
    """
    with replacing(path) as temporary, temporary.open("wb", buffering=0) as file:
        stream = _Patient(file)
        yield stream  # type: ignore[misc]  # all that the writers ask for
        if stream.failed:
            raise stream.failed


class _Patient:
    """A stream that takes everything, and keeps the first error for later."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.failed = file, cast(OSError | None, None)

    def write(self, content: bytes | bytearray | memoryview) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while left and not self.failed:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.failed = error
        return size

    def flush(self) -> None:
        """Nothing is held back."""


def copy_atomically(source: Path, target: Path) -> Path:
    """Hard-link a file to `target`, or copy it where the file system has no links; an old `target` is replaced.

    The two may share their content, so both must only ever be replaced, never written into.
    """
    with replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
    return target


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which then takes the name `folder`; after an exception it is gone.

    Makes the folders above. Raises ValueError where `folder` is there by then and not empty; an OSError names `folder`.
    """
    size = 0
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder)
        with temporarily(folder) as temporary:
            temporary.mkdir()
            try:
                yield temporary
                _take_name(temporary, folder)
            finally:
                size = size_of(temporary)
        flush_folder(folder.parent)
    except OSError as error:
        raise told(error, folder, size=size) from error


@contextmanager
def temporarily(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path` that nobody else has; what has it is removed, also where the process is stopped.

    It has the suffix of `path`, by which some libraries choose a format.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp{path.suffix}")
    with unfinished(temporary):
        yield temporary


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can: a rename alone may be lost in a power cut."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def abandoned(path: Path) -> Iterator[Path]:
    """The temporary files and folders that killed processes left of `path`; a younger one may still be growing."""
    for temporary in path.parent.glob(f".{glob.escape(path.stem)}.*.tmp{glob.escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - temporary.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                yield temporary


def _clear_abandoned(path: Path) -> None:
    for temporary in abandoned(path):
        with suppress(OSError):
            temporary.unlink() if temporary.is_file() else shutil.rmtree(temporary)


def _take_name(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if folder.exists():
            raise ValueError(f"{folder} exists already: choose another name, or delete it") from None
        raise


def _flush(path: Path) -> None:
    """Without this a power cut could leave an empty file under the new name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
