"""Image files in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from advgan.data.reading.files import Files, hidden, is_table
from advgan.data.reading.pixels import is_image
from advgan.intake.limits import within
from advgan.intake.regular import state
from advgan.storage.contents import checked, digests


def list_folder(root: Path) -> tuple[Files, list[tuple[str, list[int]]]]:
    """List the images, tables and folders below `root`; also each file's name and what tells that it has changed.

    Symbolic links are followed, hidden files and folders left out. Raises ValueError where a folder cannot be read.
    A file of ours (`contents.json` names its digest) that was changed since is not opened.
    """
    found, folders = list[tuple[str, list[int]]](), list[str]()
    try:
        for number, (entry, name) in enumerate(_walk(root, "", (os.stat(root),)), start=1):
            within("members", number, what=root)
            if entry.is_dir():
                folders.append(name)
            elif is_image(name) or is_table(name):
                status = entry.stat() if entry.is_file() else None  # a link to nothing is an image that cannot be read
                found.append((name, state(status) if status else []))
    except OSError as error:
        raise ValueError(f"cannot read {error.filename or root} ({error.strerror})") from None
    found.sort()
    images, tables = ([name for name, _ in found if kind(name)] for kind in (is_image, is_table))
    known = {
        f"{place}{name}": digest
        for place in ("", *(f"{folder}/" for folder in folders))
        for name, digest in digests(root / place).items()
    }
    return Files(str(root), images, folders, lambda name: checked(root, name, known), tables), found


def _walk(
    folder: Path | str, prefix: str, above: tuple[os.stat_result, ...]
) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield each entry with its relative name; a link back to a folder above is not entered again."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if hidden(entry.name):
                continue
            name = prefix + entry.name
            if not entry.is_dir():
                yield entry, name
                continue
            status = os.stat(entry.path)
            if not any(os.path.samestat(status, other) for other in above):
                yield entry, name
                yield from _walk(entry.path, f"{name}/", (*above, status))
