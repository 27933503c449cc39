"""A source that consists of image files, wherever they lie: what it lists, and how one of them is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, eq=False)
class Files:
    """Image files under a root. Names are relative, with forward slashes; `open` may be called from several threads."""

    name: str
    """The root as the user wrote it, for messages."""
    images: Sequence[str]
    folders: Sequence[str]
    """Every folder, the empty ones too; none ends in a slash, and the root is not among them."""
    open: Callable[[str], Path | IO[bytes]]
    tables: Sequence[str] = ()
    """Files that may say which class each image is of: .csv, .tsv and .txt."""


_ADDED = frozenset({"__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})


def hidden(name: str) -> bool:
    """Tell whether a path is one that people did not put there: dot files, and what systems add to folders."""
    return any(part.startswith(".") or part in _ADDED for part in name.split("/"))


def is_table(name: str) -> bool:
    """Tell by the suffix whether a file may be a table."""
    return name.lower().endswith((".csv", ".tsv", ".txt", ".jsonl"))
