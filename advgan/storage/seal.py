"""Digests inside files: one flipped bit anywhere in a sealed file is found when it is read.

A file is sealed by a field `"sha256"` in its JSON: the SHA-256 of the whole file with zeros in the place of the digest.
So the file needs no companion that could be lost, and readers that know nothing of seals read it as before.
"""

import hashlib
import re
from pathlib import Path

FIELD = "sha256"
BLANK = "0" * 64
"""What stands in the field until the file is sealed."""
_PLACE = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')
_LONGEST_BEFORE = 1 << 26
"""Bytes; a seal stands before the data of a file, in the header."""


def seal(content: bytes) -> bytes:
    """Replace the blank digest of a file by its digest."""
    place = _place(content)
    assert place is not None, "the file has no field for its digest"
    start, end = place
    return b"".join((content[:start], _digest(content, start, end), memoryview(content)[end:]))


def is_whole(content: bytes) -> bool:
    """Whether a file is as it was sealed; also True of one without a seal, which earlier versions wrote."""
    place = _place(content)
    return place is None or _digest(content, *place) == content[slice(*place)]


def file_digest(file: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _place(content: bytes) -> tuple[int, int] | None:
    """Where the digest stands: in the first field of this name. JSON within the JSON of a header has escaped quotes."""
    found = _PLACE.search(content, 0, _LONGEST_BEFORE)
    return found.span(1) if found else None


def _digest(content: bytes, start: int, end: int) -> bytes:
    """The digest of a file with a blank from start to end, without a copy of its data."""
    found = hashlib.sha256(memoryview(content)[:start])
    found.update(BLANK.encode())
    found.update(memoryview(content)[end:])
    return found.hexdigest().encode()
