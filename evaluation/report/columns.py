"""Columns of text on the console: they keep to the width of a terminal, and break no word."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "  "


class Columns:
    """A table of groups of rows: the first cell stands left, numbers right, and a last cell of words left again."""

    def __init__(self, header: Sequence[str], *, words_last: bool = False, file: TextIO | None = None) -> None:
        self.console = Console(file=file or sys.stdout, highlight=False, emoji=False, markup=False)
        self.words_last = words_last
        self.header = self._printable(header)
        self.groups: list[tuple[str, list[list[str]]]] = []

    def add(self, title: str, rows: Iterable[Sequence[str]]) -> None:
        """Add rows under a title, which the rows of one with the same name join."""
        lines = [self._printable(row) for row in rows]
        (title,) = self._printable([title])
        for name, known in self.groups:
            if name == title:
                known += lines
                return
        self.groups.append((title, lines))

    def print(self) -> None:
        """Print all; into a pipe no line is broken, so that `grep` finds whole rows."""
        width = self.console.width if self.console.is_terminal else None
        rows = [self.header, *(row for _, group in self.groups for row in group)]
        widths = column_widths(rows, width, words_last=self.words_last)
        self._say(lay_out(self.header, widths, width, words_last=self.words_last), "dim")
        for title, group in self.groups:
            self._say(_wrapped(title, width), "bold")
            for row in group:
                self._say(lay_out(row, widths, width, words_last=self.words_last), "")

    def _say(self, lines: Iterable[str], style: str) -> None:
        for line in lines:
            self.console.print(Text(line, style=style), soft_wrap=True)

    def _printable(self, cells: Sequence[str]) -> list[str]:
        return [_printable(cell, self.console) for cell in cells]


def say(text: str) -> None:
    """Print a paragraph to stdout, in a terminal within its width; nothing of an empty one."""
    console = Console(highlight=False, emoji=False, markup=False)
    for line in _wrapped(_printable(text, console), console.width if console.is_terminal else None) if text else ():
        console.print(Text(line), soft_wrap=True)


def column_widths(rows: Sequence[Sequence[str]], width: int | None, *, words_last: bool) -> list[int]:
    """The width of each column but a last one of words; the first gets at most what the others leave."""
    numbers = range(1, len(rows[0]) - words_last)
    others = [max(cell_len(row[place]) for row in rows) for place in numbers]
    first = max(cell_len(row[0]) for row in rows)
    room = first if width is None else width - sum(others) - len(_GAP) * len(others)
    return [min(first, max(room, 0)), *others]


def lay_out(row: Sequence[str], widths: Sequence[int], width: int | None, *, words_last: bool = False) -> list[str]:
    """The lines of a row: a first cell that is too long, and last words that do not fit, have lines of their own.

    Numbers that no line can hold side by side go on in the next, in every row at the same column.
    """
    first, numbers, last = row[0], row[1 : len(widths)], row[-1] if words_last else ""
    lines = []
    if cell_len(first) > widths[0]:
        lines, first = _wrapped(first, width), ""
    cells = [_left(first, widths[0]), *(_right(cell, size) for cell, size in zip(numbers, widths[1:], strict=True))]
    *folded, line = [_GAP * (start > 0) + _GAP.join(cells[start:end]) for start, end in _folds(widths, width)]
    lines += [each.rstrip() for each in folded if each.strip()]
    beside = f"{line}{_GAP}{last}".rstrip()
    if width is None or cell_len(beside) <= width:
        return [*lines, beside] if beside or not lines else lines
    column = cell_len(line) + len(_GAP)
    longest = max(map(cell_len, last.split()), default=0)
    if longest <= width - column:
        wrapped = _wrapped(last, width - column)
        return [*lines, f"{line}{_GAP}{wrapped[0]}", *(" " * column + more for more in wrapped[1:])]
    return [*lines, line.rstrip(), *(_GAP + more for more in _wrapped(last, width - len(_GAP)))]


def _folds(widths: Sequence[int], width: int | None) -> list[tuple[int, int]]:
    """Which columns share a line, as (first, end)."""
    folds, start, used = list[tuple[int, int]](), 0, widths[0]
    for place, size in enumerate(widths[1:], 1):
        used += len(_GAP) + size
        if width is not None and used > width and place > start:
            folds.append((start, place))
            start, used = place, len(_GAP) + size
    return [*folds, (start, len(widths))]


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _left(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _right(cell: str, width: int) -> str:
    return " " * (width - cell_len(cell)) + cell


def _printable(text: str, console: Console) -> str:
    """Keep names from steering the terminal, and signs that its encoding lacks from raising."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    if not console.encoding.lower().startswith("utf"):
        for sign, replacement in (("–", "-"), ("∞", "inf"), (" ↑", ""), (" ↓", "")):
            plain = plain.replace(sign, replacement)
    return plain.encode(console.encoding, "replace").decode(console.encoding)
