"""How an exported program nests its inputs and outputs: tuples, lists and dictionaries of tensors alone."""

import json
from typing import Any

_PLAIN = {None, "builtins.tuple", "builtins.list"}
_KEYED = {"builtins.dict", "collections.OrderedDict"}
_DEEPEST = 20
_LONGEST = 100_000


def is_tree(text: str) -> bool:
    """Whether a text of torch's describes such a nesting; torch imports what others name."""
    if len(text) > _LONGEST:
        return False
    try:
        version, tree = json.loads(text)
        return version == 1 and _is_plain(tree, _DEEPEST)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _is_plain(tree: dict[str, Any], levels: int) -> bool:
    kind, context = tree["type"], tree["context"]
    if set(tree) != {"type", "context", "children_spec"} or levels == 0:
        return False
    if kind in _KEYED:
        keys = json.loads(context)
        fits = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    else:
        fits = kind in _PLAIN and context in (None, "null")
    return fits and all(_is_plain(each, levels - 1) for each in tree["children_spec"])
