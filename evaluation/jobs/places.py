"""Paths in a run's settings: stored as absolute paths; relative ones of older runs are looked up.

Which settings may be paths stands beside each of them, as a `Place`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from advgan.config import Place
from advgan.config.section import Section
from advgan.storage.foreign_code import check_code
from advgan.storage.places import found_from, of_run
from advgan.storage.runs import CODE, Run

Config = TypeVar("Config", bound=Section)


def with_places(config: Config) -> Config:
    """The same configuration, with every path that it names from the root of the disk."""
    return _placed(config, lambda source: found_from(source, Path.cwd()))


def read_back(config: Config, run: Path) -> Config:
    """The configuration of a run folder, with every path as it is found from here."""
    return _placed(config, lambda source: of_run(source, run))


def check_stored_code(config: Section, run: Path) -> None:
    """Raise ValueError where the configuration in a run folder names code that nothing vouches for."""
    recorded = Run(run).environment.get(CODE)
    for stored, found in zip(config.texts(), read_back(config, run).texts(), strict=True):
        check_code(found, recorded.get(stored) if isinstance(recorded, dict) else None, where=run)


def _placed(config: Config, found: Callable[[str], str]) -> Config:
    changed = dict(_changes(config, found))
    return config.model_copy(update=changed) if changed else config


def _changes(config: Section, found: Callable[[str], str]) -> Iterator[tuple[str, Any]]:
    """The fields that change, so that what nobody set stays a default."""
    for name, field in type(config).model_fields.items():
        value = new = getattr(config, name)
        place = next((each for each in field.metadata if isinstance(each, Place)), None)
        if isinstance(value, Section):
            new = _placed(value, found)
        elif place and isinstance(value, str):
            new = _located(value, place, found)
        elif place and isinstance(value, tuple):
            new = tuple(_located(each, place, found) for each in value)
        if new != value:
            yield name, new


def _located(source: str, place: Place, found: Callable[[str], str]) -> str:
    from advgan.data.stacked import PREFIX  # which loads torch, and a verb's settings do without

    if place is Place.DATA and source.lower().startswith(PREFIX):
        return source[: len(PREFIX)] + _located(source[len(PREFIX) :], place, found)
    name = source.lower() if place is Place.DATA else source
    return source if name in _names(place) else found(source)


def _names(place: Place) -> set[str]:
    """What is no path, even beside a folder of that name."""
    from advgan.data import KNOWN
    from advgan.models.classifiers.architectures import CLASSIFIERS
    from evaluation.extractors import ALIASES, EXTRACTORS

    return {
        Place.DATA: {*KNOWN},
        Place.CLASSIFIER: {*CLASSIFIERS},
        Place.EXTRACTOR: {"auto", *EXTRACTORS, *ALIASES},
        Place.RUN: set[str](),
    }[place]
