"""JSON documents that are sealed: results, environments, contents of the cache."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advgan.intake.json_text import parse_json
from advgan.intake.regular import check_regular
from advgan.storage.atomic import write_atomically
from advgan.storage.seal import BLANK, FIELD, is_whole, seal


def write_document(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a JSON object atomically, with its digest as first field; NaN and infinities are refused."""
    text = json.dumps({FIELD: BLANK, **content}, indent=1, allow_nan=False)
    return write_atomically(path, seal(text.encode() + b"\n"))


def read_document(path: Path) -> dict[str, Any]:
    """Read what `write_document` wrote, without the digest; also the plain JSON of earlier versions.

    Raises ValueError, naming the file, where it is missing, damaged or no JSON object.
    """
    try:
        check_regular(path)
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    if not is_whole(raw):
        raise ValueError(f"{path} is damaged: its content is not what was written")
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: no JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds a {type(content).__name__}, an object is needed")
    content.pop(FIELD, None)
    return content
