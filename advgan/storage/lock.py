"""One process at a time writes into a run folder; the lock goes with the process, however that ends."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

FILE = ".lock"
_held: dict[Path, FileLock] = {}

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
        return
    _held[folder.resolve()] = lock


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
    """Raise FileNotFoundError where `path` is in a folder that we hold and that was deleted: half of it is no run."""
    for folder in list(_held):
        if not folder.is_dir() and path.resolve().is_relative_to(folder):
            raise FileNotFoundError(errno.ENOENT, "the folder of the run was deleted", str(folder))


@contextmanager
def holding() -> Iterator[None]:
    """Let go, after the block, of every folder that was locked within it."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in _held.keys() - before:
            _held.pop(folder).release()
