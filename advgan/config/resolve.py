"""Make one configuration of defaults, a YAML file and overrides; the later wins, and a mistake is one clear line."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from advgan.config.section import Section

Config = TypeVar("Config", bound=Section)


def resolve(kind: type[Config], *, file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Build a `kind` from its defaults, then `file`, then `overrides` (dotted keys, such as `training.epochs`).

    Raises ValueError in one line that names the key, the value and what is allowed.
    """
    values = read_yaml(file) if file else {}
    for key, value in (overrides or {}).items():
        _put(values, key, value)
    return validate(kind, values, source=str(file) if file else None)


def validate(kind: type[Config], values: Mapping[str, Any], *, source: str | None = None) -> Config:
    """Check plain values against a section; every mistake is named in one line, `source` saying where it stands."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        mistakes = "; ".join(_mistake(kind, detail) for detail in error.errors())
        raise ValueError(f"{source}: {mistakes}" if source else mistakes) from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `--set section.key=value` options: values are written as in YAML."""
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise ValueError(f"--set {assignment}: write it as section.key=value")
        values[key.strip()] = _parse_value(assignment, text)
    return values


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; raise ValueError, naming file and line, for anything else."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the configuration {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{file} must hold keys and values, such as `training:`, not a {type(values).__name__}")
    return values


def dump_yaml(config: Section) -> str:
    """Write a configuration as YAML that `resolve` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def default_of(kind: type[Section], key: str) -> Any:
    """The default of a dotted key, for the help texts, as it is written; None within a section that is None."""
    first, *names = key.split(".")
    value = kind.model_fields[first].get_default(call_default_factory=True)
    for name in names:
        value = getattr(value, name) if value is not None else None
    return value


def _parse_value(assignment: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError(f"--set {assignment}: {text!r} is not a YAML value") from None


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for name in sections:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{key}: {name} is a value, not a section")
        values = inner
    values[last] = value


def _mistake(kind: type[BaseModel], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "configuration"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(kind, detail["loc"][:-1])
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        return f"unknown key {key}" + (f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})")
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    shown = "" if isinstance(detail["input"], dict) else f" (got {detail['input']!r})"
    return f"{key}: {message}{shown}"


def _known_keys(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for name in path:
        annotation = kind.model_fields[str(name)].annotation
        options = (annotation, *get_args(annotation))
        kind = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return list(kind.model_fields)
