"""The step log: one JSON object a line, each with a check of itself and of all lines before it.

So a changed, lost or moved line is found wherever the log is read, and a line that a crash cut short, which can only be
the last, is not taken for damage. The log holds no time of day: a resumed run writes the same lines.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from advgan.storage.atomic import write_atomically
from advgan.storage.lock import refuse_deleted
from advgan.storage.space import told

Row = dict[str, Any]
_CHECK = re.compile(rb', "check": "([0-9a-f]{8})"\}$')


def append(file: Path, row: Mapping[str, Any]) -> None:
    """Append a row of at least one value; a line that a crash cut short goes first.

    Where the disk is full, the log stays as it was. The row is on the disk before anything that is written after it: a
    checkpoint without its row could not be gone on from.
    """
    end, line = None, b""
    refuse_deleted(file)
    try:
        with file.open("ab+") as opened:
            last, end = _last_line(opened)
            opened.truncate(end)
            opened.write(line := _line(row, last))
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        if end is not None:
            with suppress(OSError):
                os.truncate(file, end)
        raise told(error, file, size=len(line)) from error


def read(file: Path) -> list[Row]:
    """Every whole row, without its check; none where there is no file.

    Raises ValueError, naming the line, where one before the last cannot be what was written.
    """
    rows, complaint = _read(file)
    if complaint:
        raise ValueError(f"{complaint}: put back a copy, or begin a new run")
    return rows


def rewind(file: Path, step: int) -> None:
    """Drop what was logged after `step`, so that a resumed run writes those rows again, once.

    Damage after `step` does not matter. Raises ValueError where what was logged up to `step` is damaged or lost: the
    best distance so far, and patience, are read from there.
    """
    rows, complaint = _read(file)
    kept = [row for row in rows if row["step"] <= step]
    if step and not any(row["step"] == step for row in kept):
        reason = complaint or (f"{file} lacks step {step}" if file.is_file() else f"{file} is missing")
        raise ValueError(f"{reason}, so what was best is not known: put back a copy, or begin a new run")
    if rows or complaint:
        write_atomically(file, _lines(kept))


def _last_line(opened: BinaryIO) -> tuple[bytes | None, int]:
    """The last whole line, without its end, and where it ends in the file; None where there is none."""
    size, tail = opened.seek(0, 2), 1 << 14
    while True:
        start = max(0, size - tail)
        opened.seek(start)
        content = opened.read()
        end = content.rfind(b"\n")
        begin = content.rfind(b"\n", 0, max(end, 0))
        if begin >= 0 or start == 0:
            return (content[begin + 1 : end] if end >= 0 else None), start + end + 1
        tail *= 2


def _lines(rows: Sequence[Row]) -> bytes:
    lines: list[bytes] = []
    for row in rows:
        lines.append(_line(row, lines[-1].rstrip() if lines else None))
    return b"".join(lines)


def _line(row: Mapping[str, Any], last: bytes | None) -> bytes:
    """A row as its line after `last`; after the line of a log without checks, which an earlier version began, plain."""
    body = json.dumps(row).encode()
    if last is not None and not (before := _CHECK.search(last)):
        return body + b"\n"
    check = crc32(body, int(before[1], 16) if last is not None and before else 0)
    return body[:-1] + f', "check": "{check:08x}"}}\n'.encode()


def _read(file: Path) -> tuple[list[Row], str]:
    """The rows up to the first that is damaged, and the complaint about that one."""
    if not file.is_file():
        return [], ""
    lines = file.read_bytes().split(b"\n")
    cut = lines.pop()  # empty, unless a crash cut the last line short
    checked = any(_CHECK.search(line) for line in lines)
    rows: list[Row] = []
    before = 0
    for number, line in enumerate([*lines, cut] if cut else lines, start=1):
        row, check = _row(line, before, checked)
        if row is None:
            short = number > len(lines) and _row(line[:-1], before, checked)[0] is None
            return rows, "" if short else f"{file}, line {number}, is damaged"
        rows.append(row)
        before = check
    return rows, ""


def _row(line: bytes, before: int, checked: bool) -> tuple[Row | None, int]:
    """The row of a line and its check, or None where it is not what was written."""
    found = _CHECK.search(line)
    body = line[: found.start()] + b"}" if found else line
    check = crc32(body, before)
    if checked and (not found or int(found[1], 16) != check):
        return None, before
    try:
        row = json.loads(body)
    except ValueError:
        return None, before
    return (row, check) if isinstance(row, dict) else (None, before)
