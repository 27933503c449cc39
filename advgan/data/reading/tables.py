"""Read tables of labels beside image files, such as `labels.csv`: columns of file names, classes and splits."""

import codecs
import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from advgan.data.reading.collection import SPLIT_WORDS, split_of
from advgan.data.reading.files import Files
from advgan.data.reading.pixels import is_image
from advgan.harmless import from_cell, printable
from advgan.intake.regular import read_bytes

FILE_COLUMNS = (
    *("file_name", "filename", "file", "path", "filepath", "file_path", "image", "image_path", "image_name"),
    *("image_id", "img", "id", "name"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "target", "category")
SPLIT_COLUMNS = ("split", "subset")
"""Known column headers in lower case; of several in a table, the first in these tuples is taken."""


class Said(NamedTuple):
    """What a table says of one image."""

    label: str
    split: int | None
    """TRAIN, VALIDATION or TEST; None where it has no such column."""


class _Columns(NamedTuple):
    """The numbers of a table's columns, and of its first row below the header."""

    file: int
    label: int
    split: int | None
    first: int


def said_by_tables(files: Files) -> tuple[dict[str, Said], str]:
    """Read the label and split of every image from the tables of a source; empty where that fails, with the reason.

    A table has a header with one of FILE_COLUMNS and one of LABEL_COLUMNS. Without them the column of files is the one
    that names images, and the labels are what else it has (see `_columns`). A table that names no image of the source
    is ignored. Files are found by their path from the table on, with or without suffix, or, where that is not there, by
    the only path that ends so. Raises ValueError for a split that no one knows.
    """
    said: dict[str, Said] = {}
    index, told, unread = _Index(files.images), list[str](), list[str]()
    for name in files.tables:
        table = _read(files, name, index)
        if isinstance(table, str):
            unread += [table] if table else []
            continue
        told.append(printable(name))
        for file, what in table:
            image = index.find(name, file)
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
    return said, "" if said or not unread else unread[0]


class _Index:
    """Image paths indexed by file name, with and without suffix."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = frozenset(images)
        self.ends: dict[str, list[str]] = defaultdict(list)
        for image in images:
            base = image.rpartition("/")[2]
            for end in {base, _bare(base)}:
                self.ends[end].append(image)

    def find(self, table: str, file: str) -> str | None:
        """Find the image that a table's cell names; None where none or several match."""
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


def _read(files: Files, name: str, index: _Index) -> list[tuple[str, Said]] | str:
    """Read (file as written, label and split) rows of a table; or the reason why not, empty if it names no image."""
    rows = _rows(files, name)
    columns = _columns(rows, lambda cell: index.find(name, _path(cell)) is not None)
    if isinstance(columns, str):
        return columns and f"{printable(name)} {columns}"
    file, label, split, first = columns
    width = len(rows[0])
    whole = [row for row in rows[first:] if len(row) == width and row[file].strip() and row[label].strip()]
    return [
        (
            _path(row[file]),
            Said(from_cell(row[label].strip()), None if split is None else _split(files, name, row[split])),
        )
        for row in whole
    ]


def _rows(files: Files, name: str) -> list[list[str]]:
    """The cells of a table; empty where it is no text. Reads UTF-8, and UTF-16 and cp1252 as Excel saves them."""
    try:
        opened = files.open(name)
        content = read_bytes(opened) if isinstance(opened, Path) else opened.read()
    except ValueError as error:
        raise ValueError(f"{files.name}: the table {printable(name)} cannot be read ({error})") from None
    except OSError:
        return []
    try:
        text = _decoded(content)
        if name.lower().endswith(".jsonl"):
            return _objects(text)
        header = text.partition("\n")[0]
        delimiter = max(",;\t", key=header.count)
        if name.lower().endswith(".txt") and delimiter not in header:
            delimiter = " "
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        return [row for row in rows if any(cell.strip() for cell in row)]
    except (ValueError, RecursionError, csv.Error):
        return []


def _objects(text: str) -> list[list[str]]:
    """The cells of a table of JSON objects, one a line, as `metadata.jsonl` of Hugging Face's image folders is."""
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    header = list(dict.fromkeys(key for row in rows for key in row))
    return [header, *([str(row.get(key, "")) for key in header] for row in rows)]


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _path(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")


def _columns(rows: Sequence[Sequence[str]], is_there: Callable[[str], bool]) -> _Columns | str:
    """Find the columns by their headers, else by their content; or the reason why not, empty if no image is named.

    Without a known header the labels are the one column that is neither the file names nor the row numbers, if its
    values repeat.
    """
    if not rows:
        return ""
    header = [re.sub(r"[\s-]+", "_", column.strip().lower()) for column in rows[0]]
    file, label, split = (_first(header, known) for known in (FILE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS))
    cells = list(zip(*(row for row in rows if len(row) == len(header)), strict=True))
    if file is None or not any(map(is_there, cells[file])):
        naming = [column for column, found in enumerate(cells) if 2 * sum(map(is_there, found)) >= len(found)]
        file = max(naming, key=lambda column: sum(map(is_image, cells[column])), default=None)
    if file is None:
        return ""
    top, below = cells[file][0], cells[file][-1]
    first = 0 if is_there(top) and is_image(top.strip()) == is_image(below.strip()) else 1
    if label is not None:
        return _Columns(file, label, split, first)
    said = {column: found[first:] for column, found in enumerate(cells) if column not in (file, split)}
    others = [column for column, found in said.items() if not _numbers_rows(found)]
    if len(others) == 1 and 2 * len(set(said[others[0]])) <= len(said[others[0]]):
        return _Columns(file, others[0], split, first)
    names = f"{', '.join(LABEL_COLUMNS[:-1])} or {LABEL_COLUMNS[-1]}"
    return f"calls none of its columns {names}: rename the one of the classes"


def _numbers_rows(cells: Sequence[str]) -> bool:
    return any(all(cell.strip() == str(start + row) for row, cell in enumerate(cells)) for start in (0, 1))


def _first(columns: Sequence[str], known: Iterable[str]) -> int | None:
    return next((columns.index(name) for name in known if name in columns), None)


def _split(files: Files, name: str, word: str) -> int:
    found = split_of(word)
    if found is None:
        raise ValueError(
            f"{files.name}: {printable(name)} has the split {printable(word)!r}; known are {', '.join(SPLIT_WORDS)}"
        )
    return found
