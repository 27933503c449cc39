"""The cache: folders that appear whole under their final name or not at all, whoever else is writing."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ABANDONED_AFTER_SECONDS = 24 * 3600


def cache_dir() -> Path:
    """Say where downloads and decoded images are kept: `ADVGAN_CACHE_DIR`, else the user's cache folder."""
    chosen = os.environ.get("ADVGAN_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("advgan", appauthor=False))


def cached(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, made first where it is missing: `build` fills a temporary folder, which is then renamed.

    If two processes build the same folder, the first to finish wins and both use its folder. If `build` fails, the
    disk is as it was before. `build` turns its own troubles into ValueError; an OSError that leaves it counts as a
    cache that cannot be written, and is raised as a ValueError that says so.
    """
    if folder.is_dir():
        return folder
    made: list[Path] = []
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        made = _make_parents(temporary)
        _remove_abandoned(folder)
        temporary.mkdir()
        build(temporary)
        _publish(temporary, folder)
    except OSError as error:
        raise ValueError(
            f"cannot write the cache {folder.parent} ({error.strerror or error}); "
            "set ADVGAN_CACHE_DIR to a folder that can be written"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()  # goes only where it is empty, which it is after a failure
    return folder


def _make_parents(path: Path) -> list[Path]:
    """Make the folders above `path`; return those that were missing, the outermost first."""
    missing = [parent for parent in reversed(path.parents) if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _remove_abandoned(folder: Path) -> None:
    """Clear away what a killed process left of this entry; a younger temporary folder may still be growing."""
    for path in folder.parent.glob(f".{folder.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
