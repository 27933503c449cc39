"""The digests of the files of a folder, kept in one sealed document beside them: `contents.json`.

For files whose form has no room for a digest of their own: pictures, tables, arrays, networks of other formats. Files
that somebody added since do not matter, and a folder without the document, an earlier version's or somebody else's, is
read as it is.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from advgan.storage.documents import read_document, write_document
from advgan.storage.seal import file_digest

CONTENTS = "contents.json"


def write_contents(folder: Path) -> None:
    """Keep the digests of all files of a folder and of those below it."""
    _write(folder, {}, (path for path in folder.rglob("*") if path.is_file()))


def add_contents(folder: Path, files: Iterable[Path]) -> None:
    """Keep the digests of these files too, beside those of others that are there still; none of no files."""
    found = list(files)
    if found:
        _write(folder, {name: digest for name, digest in _known(folder).items() if (folder / name).is_file()}, found)


def digests(folder: Path) -> dict[str, str]:
    """The digests by name; none where no document says them. ValueError where that is damaged."""
    document = folder / CONTENTS
    if not os.path.isfile(document):  # False, unlike is_file of a Path, where we may not look
        return {}
    found = read_document(document).get("files", {})  # a document of this name may be somebody else's
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def changed(folder: Path) -> Path | None:
    """The first file of a folder that is missing or not what was written, or the document itself."""
    try:
        return next(
            (folder / name for name, digest in digests(folder).items() if _digest(folder / name) != digest), None
        )
    except (ValueError, OSError):
        return folder / CONTENTS


def checked(folder: Path, name: str, known: dict[str, str] | None = None) -> Path:
    """The file of a name, with forward slashes, within a folder; ValueError, with the way out, where it was changed.

    `known` are the digests of the folder, where many files are checked.
    """
    file = folder / name
    expected = (digests(folder) if known is None else known).get(name)
    if expected is not None and os.path.isfile(file) and file_digest(file) != expected:
        raise ValueError(
            f"{file} is not what was written (its digest in {CONTENTS} is another): write it again, or remove "
            f"{folder / CONTENTS} where the change is meant"
        )
    return file


def _write(folder: Path, kept: dict[str, str], files: Iterable[Path]) -> None:
    named = {file.relative_to(folder).as_posix(): file_digest(file) for file in files if file.name != CONTENTS}
    write_document(folder / CONTENTS, {"files": dict(sorted({**kept, **named}.items()))})


def _known(folder: Path) -> dict[str, str]:
    """The digests; none where the document is damaged, since what is written anew needs no old one."""
    try:
        return digests(folder)
    except ValueError:
        return {}


def _digest(file: Path) -> str | None:
    return file_digest(file) if file.is_file() else None
