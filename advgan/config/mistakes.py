"""Turn pydantic's validation errors into one-line messages for users."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_SHOWN = reprlib.Repr()
_SHOWN.maxlevel, _SHOWN.maxlist, _SHOWN.maxtuple, _SHOWN.maxdict = 3, 12, 12, 12
_SHOWN.maxstring = _SHOWN.maxlong = _SHOWN.maxother = 200
"""How much of a wrong value a message quotes."""
_QUOTED = 200
"""Letters of a field or a reason in a message, at most."""
_WORDS = {
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": "should be a text",
    "tuple_type": "should be a list",
    "dict_type": "should hold keys and values",
    "model_type": "should hold keys and values",
    "model_attributes_type": "should hold keys and values",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "too_short": "must name at least {min_length}",
}


def mistakes_in_words(
    kind: type[BaseModel], details: list[Any], *, origins: Mapping[str, str], source: str | None
) -> str:
    """Describe the errors of a validation in one line; each begins with the origin of its value.

    `origins` names the origin (an option, a variable) by dotted key; other values came from the file `source` or are
    defaults. Errors of all members of a union about one value are one mistake.
    """
    found: dict[str, list[Any]] = {}
    for detail in details:
        found.setdefault(".".join(map(str, _path(kind, detail["loc"]))), []).append(detail)
    return "; ".join(_line(kind, key, group, origins, source) for key, group in found.items())


def nearest(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """`did you mean ...?`, or the known words where none is near."""
    meant = alike(word, known)
    return f"did you mean {meant}?" if meant else f"known: {', '.join(known)}"


def alike(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelt most like this one, in whatever case; None where none is."""
    spelt = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), spelt, n=1)
    return spelt[near[0]] if near else None


def _line(kind: type[BaseModel], key: str, group: list[Any], origins: Mapping[str, str], source: str | None) -> str:
    unknown = next((detail for detail in group if detail["type"] == "extra_forbidden"), None)
    origin = _origin(key, origins)
    place = origin or (f"{source}: {key}" if source and key else source or key)
    if unknown:
        known = list(_section(kind, unknown["loc"][:-1]).model_fields)
        where = origin or source
        return f"{f'{where}: ' if where else ''}unknown key {key} ({nearest(str(unknown['loc'][-1]), known)})"
    text = _wrong([detail for detail in group if detail["type"] != "too_short"] or group)
    if not key:
        text = _named(text, origins)
    return f"{place}: {text}" if place else text


def _named(text: str, origins: Mapping[str, str]) -> str:
    """Replace the key that a message begins with by the origin of its value."""
    key = next((key for key in origins if text.startswith((f"{key}:", f"{key} "))), None)
    return text if key is None else origins[key] + text[len(key) :]


def _wrong(group: list[Any]) -> str:
    """What a value should be, by all members of its type, and the value; our own validators' messages unchanged."""
    ours = [detail for detail in group if detail["type"] == "value_error"]
    if ours:
        return str(ours[0]["msg"]).removeprefix("Value error, ")
    wanted = list(dict.fromkeys(_wanted(detail) for detail in group))
    text = " or ".join([wanted[0], *(other.removeprefix("should be ") for other in wanted[1:])])
    value = group[0]["input"]
    return text if isinstance(value, dict) else f"{text}, not {_SHOWN.repr(value)}{_meant(value, group)}"


def _wanted(detail: Any) -> str:
    if detail["type"] == "literal_error":
        allowed = _allowed(detail)
        return f"should be {' or '.join(filter(None, (', '.join(allowed[:-1]), allowed[-1])))}"
    words = _WORDS.get(detail["type"])
    if words is None:
        return str(detail["msg"]).replace("Input should", "should")
    numbers = {name: bound for name, bound in detail.get("ctx", {}).items() if isinstance(bound, (int, float))}
    bounds = {name: f"{bound:,}".removesuffix(".0") for name, bound in numbers.items()}
    return words.format(**bounds)


def _meant(value: Any, group: list[Any]) -> str:
    known = [word for detail in group if detail["type"] == "literal_error" for word in _allowed(detail)]
    near = difflib.get_close_matches(str(value), known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _allowed(detail: Any) -> list[str]:
    return [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """The origin of the value at a dotted key, or of the nearest section around it; empty where unknown."""
    while key and key not in origins:
        key = key.rpartition(".")[0]
    return origins.get(key, "")


def _path(kind: type[BaseModel], loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """The keys of a location, without places in lists and the options of unions that pydantic adds."""
    keys: list[Any] = []
    inner: type[BaseModel] | None = kind
    for part in loc:
        if inner is None:
            break
        keys.append(part)
        field = inner.model_fields.get(str(part))
        inner = _section_in(field.annotation) if field else None
    return tuple(keys)


def _section(kind: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    for name in _path(kind, path):
        inner = _section_in(kind.model_fields[str(name)].annotation)
        assert inner is not None
        kind = inner
    return kind


def _section_in(annotation: Any) -> type[BaseModel] | None:
    options = (annotation, *get_args(annotation))
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def first_mistake(error: ValidationError) -> tuple[str, str]:
    """The field and the words of the first mistake in a file of somebody else's, whose values are not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    return field[:_QUOTED], str(first["msg"])[:_QUOTED].removeprefix("Value error, ")
