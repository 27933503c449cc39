"""Tables beside image files that say which class each is of: `labels.csv` and its like, as people leave them."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from advgan.data.reading.collection import SPLIT_OF
from advgan.data.reading.files import Files, printable

FILE_COLUMNS = (
    *("file_name", "filename", "file", "path", "filepath", "file_path", "image", "image_path", "image_name"),
    *("image_id", "img", "id", "name"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "target", "category")
SPLIT_COLUMNS = ("split", "subset")
"""Headers in use, in small letters; of several the first here is taken."""


class Said(NamedTuple):
    """What a table says of one image."""

    label: str
    split: int | None
    """TRAIN, VALIDATION or TEST; None where it has no such column."""


class _Table(NamedTuple):
    name: str
    rows: list[tuple[str, Said]]
    """File as the table spells it, and what is said of it."""


def said_by_tables(files: Files) -> tuple[dict[str, Said], str]:
    """What the tables of a source say of each of its images; or nothing, and why, as the end of a sentence about it.

    A table has a header with one of FILE_COLUMNS and one of LABEL_COLUMNS; others are ignored, and so is one that names
    no image of the source. Files are found by their path from the table on, with or without suffix, or, where that is
    not there, by the only path that ends so. Raises ValueError for a split that no one knows.
    """
    said: dict[str, Said] = {}
    index, told = _Index(files.images), list[str]()
    for name in files.tables:
        table = _read(files, name)
        found = [(index.find(name, file), file, what) for file, what in table.rows] if table else []
        if not any(image for image, _, _ in found):
            continue
        told.append(printable(name))
        for image, file, what in found:
            if image is None:
                return {}, f"{printable(name)} names {printable(file)}, which is not there: add it, or delete its row"
            if said.setdefault(image, what) != what:
                return {}, f"{printable(image)} has two different rows in {' and '.join(told)}: leave one"
    left = [image for image in files.images if image not in said]
    if said and left:
        return {}, (
            f"{' and '.join(told)} says nothing of {len(left):,} of {len(files.images):,} images, first "
            f"{printable(left[0])}: add a row for each, or move them elsewhere"
        )
    return said, ""


class _Index:
    """Images by the end of their path."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = frozenset(images)
        self.ends: dict[str, list[str]] = defaultdict(list)
        for image in images:
            base = image.rpartition("/")[2]
            for end in {base, _bare(base)}:
                self.ends[end].append(image)

    def find(self, table: str, file: str) -> str | None:
        """The image that a table means by a file; None where there is none, or more than one."""
        folder = table.rpartition("/")[0]
        exact = f"{folder}/{file}" if folder else file
        if exact in self.images:
            return exact
        absolute = file.startswith("/") or file[1:3] == ":/"
        wanted = file.rpartition("/")[2] if absolute else file
        found = [
            image
            for image in self.ends.get(wanted.rpartition("/")[2], ())
            if image.startswith(folder) and any(f"/{name}".endswith(f"/{wanted}") for name in (image, _bare(image)))
        ]
        if len(found) > 1:  # train_labels.csv means the file in train/
            words = re.split(r"[^a-z0-9]+", Path(table).stem.lower())
            found = [image for image in found if not words or set(image.lower().split("/")[:-1]) & set(words)]
        return found[0] if len(found) == 1 else None


def _bare(name: str) -> str:
    """A name without its suffix."""
    return name.rpartition(".")[0] or name


def _read(files: Files, name: str) -> _Table | None:
    """Read a table; None where it has not the columns, or is no text."""
    try:
        opened = files.open(name)
        content = opened.read_bytes() if isinstance(opened, Path) else opened.read()
        text = content.decode("utf-8-sig")
        header = text.partition("\n")[0]
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count)))
    except (OSError, ValueError, csv.Error):
        return None
    columns = [re.sub(r"[\s-]+", "_", column.strip().lower()) for column in rows[0]] if rows else []
    file, label, split = (_first(columns, known) for known in (FILE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS))
    if file is None or label is None:
        return None
    whole = [row for row in rows[1:] if len(row) == len(columns) and row[file].strip() and row[label].strip()]
    said = [Said(row[label].strip(), None if split is None else _split(files, name, row[split])) for row in whole]
    paths = [row[file].strip().replace("\\", "/").removeprefix("./") for row in whole]
    return _Table(name, list(zip(paths, said, strict=True)))


def _first(columns: Sequence[str], known: Iterable[str]) -> int | None:
    return next((columns.index(name) for name in known if name in columns), None)


def _split(files: Files, name: str, word: str) -> int:
    found = SPLIT_OF.get(word.strip().lower())
    if found is None:
        raise ValueError(
            f"{files.name}: {printable(name)} has the split {printable(word)!r}; known are {', '.join(SPLIT_OF)}"
        )
    return found
