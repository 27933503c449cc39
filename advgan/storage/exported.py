"""The config.json beside an exported network, read with types and bounds."""

import json
from pathlib import Path

from pydantic import ValidationError

from advgan.config.header import Exported
from advgan.config.mistakes import first_mistake
from advgan.storage.contents import checked

NAME = "config.json"
LONGEST = 1 << 26
"""Bytes; a hundred thousand classes with long names take fewer."""


def read_exported(folder: Path) -> Exported | None:
    """What `advgan export` wrote of the network in a folder; None where there is no such file, or somebody else's.

    Raises ValueError in one line that names the file and the field where it is ours by its kind, but cannot be used, or
    was changed since it was written.
    """
    file = checked(folder, NAME)
    try:
        if not file.is_file() or file.stat().st_size > LONGEST:
            return None
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("kind") not in ("generator", "classifier"):
        return None
    try:
        return Exported.model_validate(found)
    except ValidationError as error:
        field, reason = first_mistake(error)
        raise ValueError(f"{file} has a configuration unknown here ({field}: {reason}): export it again") from None
