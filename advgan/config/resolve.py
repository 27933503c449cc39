"""Merge defaults, a YAML file and overrides into one validated configuration; later ones win."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from advgan.config.mistakes import mistakes_in_words
from advgan.config.section import Section, idle_keys
from advgan.intake.regular import read_bytes
from advgan.intake.yaml_text import parse_yaml

Config = TypeVar("Config", bound=Section)


def resolve(
    kind: type[Config],
    *,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    origins: Mapping[str, str] | None = None,
) -> Config:
    """Build a `kind` from its defaults, then `file`, then `overrides` (dotted keys, such as `training.epochs`).

    `origins` says where each override was written (`--epochs`, a variable), for messages. Raises ValueError in one line
    that names the culprit, the value and what is allowed; also for an override that nothing would use.
    """
    values = read_yaml(file) if file else {}
    for key, value in (overrides or {}).items():
        _put(values, key, value)
    named = {key: (origins or {}).get(key, key) for key in overrides or {}}
    config = validate(kind, values, source=str(file) if file else None, origins=named)
    _refuse_idle(config, overrides or {}, named)
    return config


def validate(
    kind: type[Config],
    values: Mapping[str, Any],
    *,
    source: str | None = None,
    origins: Mapping[str, str] | None = None,
) -> Config:
    """Validate plain values against a section; ValueError with all mistakes in one line, each with its origin.

    `origins` names the origin of values by dotted key; all others come from the file `source`.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        words = mistakes_in_words(kind, error.errors(), origins=origins or {}, source=source)
        raise ValueError(words) from None


def _refuse_idle(config: Section, overrides: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Refuse overrides that have no effect beside the other values; None and false are always allowed."""
    idle = idle_keys(config)
    for given, value in overrides.items():
        keys = [key for key in idle if key == given or (isinstance(value, dict) and key.startswith(f"{given}."))]
        for key in keys:
            inner = _at(value, key[len(given) + 1 :])
            if inner is not None and inner is not False:
                place = origins[given] if key == given else f"{origins[given]}, {key}"
                raise ValueError(f"{place}: nothing uses it here: {idle[key]}")


def _at(value: Any, key: str) -> Any:
    for name in filter(None, key.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return value


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
        text = read_bytes(file, limited_by="yaml").decode("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read the configuration {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    values = parse_yaml(text, what=file)
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
        return parse_yaml(text, what="the value")
    except ValueError as error:
        raise ValueError(f"--set {assignment[:200]}: {error}") from None


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for name in sections:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{key}: {name} is a value, not a section")
        values = inner
    values[last] = value
