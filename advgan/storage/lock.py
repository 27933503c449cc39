"""One process at a time writes into a run folder; the lock goes with the process, however that ends."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

FILE = ".lock"


class _Hold(NamedTuple):
    lock: FileLock | None
    """None: it is that of another process of the same job."""
    mark: tuple[int, int] | None
    """Device and number of the lock's file, which no other file has while it is open."""


_held: dict[Path, _Hold] = {}
"""The folders that this process writes into."""

log = logging.getLogger("advgan")


def hold(folder: Path) -> None:
    """Keep other processes from writing into a folder, until the end of `holding` or of this process.

    Raises ValueError where another one writes into it. A file system without locks is said, and no reason to stop.
    """
    if folder.resolve() in _held:
        return
    lock = FileLock(folder / FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is being written by another process: wait for its end, or begin a new run"
        ) from None
    except (OSError, NotImplementedError) as error:
        log.warning("Warning: %s cannot be locked (%s): let no second process write into it.", folder, error)
    _held[folder.resolve()] = _Hold(lock, _mark(folder))


def join(folder: Path) -> None:
    """Write into a folder that the first process of the same job holds."""
    _held.setdefault(folder.resolve(), _Hold(None, _mark(folder)))


def is_held(folder: Path) -> bool:
    """Whether another process writes into a folder."""
    if folder.resolve() in _held or not (folder / FILE).is_file():
        return False
    lock = FileLock(folder / FILE, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False


def refuse_deleted(path: Path) -> None:
    """Raise FileNotFoundError where `path` is in a folder that we write into and that was deleted: half is no run.

    Also where another of the same name stands there by now, or the deletion met files that we were writing.
    """
    for folder, hold in list(_held.items()):
        gone = not folder.is_dir() or hold.mark != _mark(folder)
        if gone and path.resolve().is_relative_to(folder):
            raise FileNotFoundError(errno.ENOENT, "the folder of the run was deleted", str(folder))


@contextmanager
def holding() -> Iterator[None]:
    """Let go, after the block, of every folder that was locked within it."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in _held.keys() - before:
            if (lock := _held.pop(folder).lock) is not None:
                lock.release()


def _mark(folder: Path) -> tuple[int, int] | None:
    try:
        found = (folder / FILE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
