"""Keep the paths of this machine, and with them names of people, out of files that are handed on."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_WHOLE = re.compile(r"(?<![\w.:/])(?:/|[A-Za-z]:[\\/])(?:[^\s/\\:'\"`|]+[/\\])+([^\s/\\'\"`|]+)")


def without_paths(value: Any) -> Any:
    """The same plain data with each path from the root of a disk cut to its last part."""
    if isinstance(value, dict):
        return {key: without_paths(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_paths(each) for each in value)
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else _WHOLE.sub(r"\1", value)
    return value


def check_shared(files: Iterable[Path]) -> None:
    """Raise ValueError in one line where a file holds a path of this machine."""
    places = {str(place) for place in (Path.home(), Path.cwd(), Path(sys.prefix), Path(__file__).parents[3])} - {"/"}
    for file in files:
        content = file.read_bytes()
        found = next((place for place in sorted(places) if f"{place}/".encode() in content), None)
        if found:
            raise ValueError(
                f"{file} holds {found}, a path of this machine, and is not handed on: choose --format safetensors, or "
                "take the path out of the names and the code of the network"
            )
