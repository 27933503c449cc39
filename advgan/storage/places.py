"""Paths that outlive the working folder: written from the root of the disk, and found again where a run has moved."""

import os
from collections.abc import Iterator
from pathlib import Path

from advgan.config.places import is_python_source
from advgan.intake.regular import at_home
from advgan.storage.documents import read_document

FOLDER = "folder"
"""Of a run's env.json: where the run lay when it was begun."""


def found_from(source: str, *folders: Path) -> str:
    """A path, or that of `file.py:object`, from the root, in the first of the folders that has it; else as it is."""
    path, rest = _split(source)
    if not source or path.is_absolute():
        return source
    places = (os.path.abspath(each / path) for each in folders)
    return next((place + rest for place in places if os.path.exists(place)), source)


def of_run(source: str, run: Path) -> str:
    """What a run folder's own files name: from here, else from the folders above it, in one of which it was begun.

    A whole path at which nothing lies any more is looked for where it lay as seen from the run: both may have moved
    together.
    """
    path, rest = _split(source)
    if not path.is_absolute():
        return found_from(source, Path.cwd(), *run.absolute().parents)
    if os.path.exists(path):
        return source
    return next((place + rest for place in _moved_with(path, run) if os.path.exists(place)), source)


def _split(source: str) -> tuple[Path, str]:
    path, colon, name = source.rpartition(":") if is_python_source(source) else (source, "", "")
    return at_home(path), colon + name


def _moved_with(path: Path, run: Path) -> Iterator[str]:
    """Where a path would lie by now, had it moved with the run; nothing where the two never shared a folder."""
    try:
        began = Path(read_document(run / "env.json")[FOLDER])
        shared = Path(os.path.commonpath([began, path]))
    except (ValueError, KeyError, TypeError):
        return
    if shared != Path(shared.anchor):
        yield os.path.abspath(run.absolute() / os.path.relpath(path, began))
