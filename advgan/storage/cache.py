"""The cache: folders that appear whole under their final name or not at all, whoever else is writing."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from advgan.intake.regular import at_home
from advgan.machine.signals import remove_at_exit
from advgan.storage.atomic import abandoned, temporarily
from advgan.storage.contents import changed, write_contents
from advgan.storage.space import check_space, disk_trouble

log = logging.getLogger("advgan")


def cache_dir() -> Path:
    """Say where downloads and decoded images are kept: `ADVGAN_CACHE_DIR`, else the user's cache folder."""
    chosen = os.environ.get("ADVGAN_CACHE_DIR")
    if chosen:
        return at_home(chosen)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("advgan", appauthor=False))


def cached(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, made first where it is missing or damaged: `build` fills a temporary folder, which is renamed.

    The digest of every file is kept beside them and held against the files each time.
    If two processes build the same folder, the first to finish wins and both use its folder. If `build` fails, the
    disk is as it was before. `build` turns its own troubles into ValueError; an OSError that leaves it, or a full disk
    behind its ValueError, counts as a cache that cannot be written. That is said once, and the entry is made in a
    temporary folder instead, which goes with this process: `build` may be called twice.
    """
    if (unkept := _unkept.get(folder)) is not None:
        return unkept
    try:
        return _kept(folder, build)
    except (OSError, ValueError) as error:
        trouble = error if isinstance(error, OSError) else disk_trouble(error)
        if trouble is None:
            raise
        say_unkept(folder.parent.name, folder, trouble)
        _unkept[folder] = _made_aside(folder, build, trouble)
    return _unkept[folder]


def say_unkept(what: str, path: Path, error: OSError) -> None:
    """Say, once for a cache, that `what` belongs at a path cannot be kept: the work goes on all the same."""
    cache = cache_dir() if path.is_relative_to(cache_dir()) else path.parent
    if cache not in _said:
        _said.add(cache)
        log.warning(
            "Warning: %s are not kept: cannot write %s (%s), so each command makes again what belongs there; set "
            "ADVGAN_CACHE_DIR to a folder that can be written",
            *(what, cache, error.strerror or error),
        )


_said: set[Path] = set()
_unkept: dict[Path, Path] = {}
"""Entries of caches that cannot be written, and where they are for the time of this process."""


def _made_aside(folder: Path, build: Callable[[Path], None], trouble: OSError) -> Path:
    """Make an entry in a temporary folder, or in memory where the disk of those is full too."""
    for parent in (None, "/dev/shm"):
        aside = None
        try:
            aside = Path(tempfile.mkdtemp(prefix="advgan-cache.", suffix=".tmp", dir=parent))
            remove_at_exit(aside)
            check_space(aside)
            build(aside)
            return aside
        except (OSError, ValueError) as error:
            if aside:
                shutil.rmtree(aside, ignore_errors=True)
            if not isinstance(error, OSError) and disk_trouble(error) is None:
                raise
    raise ValueError(
        f"cannot write the cache {folder.parent} ({trouble.strerror or trouble}), nor a temporary folder; "
        "set ADVGAN_CACHE_DIR to a folder that can be written"
    )


def _kept(folder: Path, build: Callable[[Path], None]) -> Path:
    """The entry of the cache itself; OSError where it cannot be written."""
    if os.path.isdir(folder):  # which is False, unlike Path.is_dir, where we may not look
        damaged = changed(folder)
        if damaged is None:
            return folder
        log.warning("Warning: %s is damaged: %s is made anew.", damaged, folder)
        _discard(folder)
    made: list[Path] = []
    try:
        with temporarily(folder) as temporary:
            made = _make_parents(temporary)
            _remove_abandoned(folder)
            temporary.mkdir()
            check_space(temporary)
            build(temporary)
            write_contents(temporary)
            _publish(temporary, folder)
    finally:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()  # goes only where it is empty, which it is after a failure
    return folder


def _make_parents(path: Path) -> list[Path]:
    """Make the folders above `path`; return those that were missing, the outermost first."""
    missing = [parent for parent in reversed(path.parents) if not os.path.lexists(parent)]
    path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _discard(folder: Path) -> None:
    """Take a damaged entry away, under another name first, so that nobody reads what is half removed."""
    with temporarily(folder) as away:
        folder.rename(away)


def _remove_abandoned(folder: Path) -> None:
    """Clear away what a killed process left of this entry."""
    for path in abandoned(folder):
        shutil.rmtree(path, ignore_errors=True)
