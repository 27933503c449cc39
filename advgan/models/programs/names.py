"""The names that an exported program gives its values and tensors, which become attributes and Python code."""

import keyword
import re

from torch import nn

_NAME = re.compile(r"\w{1,400}(\.\w{1,400}){0,60}", re.ASCII)
_VALUE = re.compile(r"(?!__)[A-Za-z_]\w{0,800}", re.ASCII)
_TAKEN = frozenset(dir(nn.Module()))


def is_name(text: str) -> bool:
    """Whether a text is a name with dots, no part of which is one that Python or a module has a use for."""
    return _NAME.fullmatch(text) is not None and not any(_is_taken(part) for part in text.split("."))


def is_value(text: str) -> bool:
    """Whether a text may name a value in the code that torch makes of a graph."""
    return _VALUE.fullmatch(text) is not None


def _is_taken(part: str) -> bool:
    return part in _TAKEN or keyword.iskeyword(part) or (part.startswith("__") and part.endswith("__"))
