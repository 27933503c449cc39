"""Digests inside files: one flipped bit anywhere in a sealed file is found when it is read.

A file is sealed by a field `"sha256"` in its JSON: the SHA-256 of the whole file with zeros in the place of the digest.
So the file needs no companion that could be lost, and readers that know nothing of seals read it as before.
"""

import hashlib
import re
from hashlib import sha256
from pathlib import Path

FIELD = "sha256"
BLANK = "0" * 64
"""What stands in the field until the file is sealed."""


def seal(content: bytes) -> bytes:
    """Replace the blank digest of a file by its digest."""
    place = _place(content)
    assert place is not None, "the file has no field for its digest"
    return _with(content, place, sha256(content).hexdigest())


def is_whole(content: bytes) -> bool:
    """Whether a file is as it was sealed; also True of one without a seal, which earlier versions wrote."""
    place = _place(content)
    if place is None:
        return True
    return sha256(_with(content, place, BLANK)).hexdigest().encode() == content[slice(*place)]


def file_digest(file: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _place(content: bytes) -> tuple[int, int] | None:
    """Where the digest stands: in the first field of this name. JSON within the JSON of a header has escaped quotes."""
    found = re.search(rb'"sha256": ?"([0-9a-f]{64})"', content[:_LONGEST_BEFORE])
    return found.span(1) if found else None


_LONGEST_BEFORE = 1 << 26
"""Bytes; a seal stands before the data of a file, in the header."""


def _with(content: bytes, place: tuple[int, int], digest: str) -> bytes:
    start, end = place
    return b"".join((content[:start], digest.encode(), content[end:]))
