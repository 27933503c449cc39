"""Shell completion of option values: names, presets, runs and files, without loading torch."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from click import Context
from click.shell_completion import CompletionItem

from advgan.config.presets import preset_names
from advgan.config.section import Section
from evaluation.jobs.console.configuration import config_class
from evaluation.jobs.console.names import (
    ATTACKS,
    CLASSIFIERS,
    DATA,
    EXTRACTORS,
    GROUPS,
    MADE,
    METRICS,
    PROTOCOLS,
)

FILE = CompletionItem("", type="file")
"""The shell completes the names of files by itself."""
_NAMED: dict[str, Callable[[], list[str]]] = {
    "attacks": lambda: ATTACKS,
    "metrics": lambda: [*GROUPS, *METRICS],
    "protocol": lambda: PROTOCOLS,
    "features": lambda: [*EXTRACTORS, *run_folders("fit")],
    "model": lambda: [*CLASSIFIERS, *run_folders("fit")],
    "network.name": lambda: [*CLASSIFIERS, *run_folders("fit")],
    "data.source": lambda: DATA,
    "checkpoint": lambda: run_folders("train"),
    "subjects": lambda: run_folders("train"),
    "reference": list,
    "extra": lambda: [f"{run}/images" for run in run_folders("augment")],
}
_MAY_BE_FILES = {*_NAMED} - {"attacks", "metrics", "protocol"}
_LISTS = {"attacks", "metrics", "features", "save"}


def setting_values(kind: type[Section], key: str, incomplete: str) -> list[CompletionItem]:
    """Completions of one setting of a verb: its names, or else the words that its type allows.

    Where a comma separates several, the last is completed.
    """
    names = _NAMED[key]() if key in _NAMED else words_of(annotation_of(kind, key))
    before, comma, last = incomplete.rpartition(",") if key in _LISTS else ("", "", incomplete)
    return [*([FILE] if key in _MAY_BE_FILES else []), *matching(names, last, before=before + comma)]


def presets(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """The presets of the verb that is typed; where it is none, as in `config show`, of all."""
    name = str(ctx.command.name)
    return matching([preset for verb in MADE if name in (verb, "show") for preset in preset_names(verb)], incomplete)


def runs(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """Every run."""
    return [FILE, *matching(run_folders(), incomplete)]


def runs_to_resume(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """`auto`, and the runs of the verb."""
    return [FILE, *matching(["auto", *run_folders(str(ctx.command.name))], incomplete)]


def assignments(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """The keys of the verb's configuration, for `--set KEY=VALUE`."""
    return matching([f"{key}=" for key in keys_of(config_class(ctx.command))], incomplete)


def bounds(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """Scores that a gate may stand on."""
    return matching([f"{metric}=" for metric in MADE[str(ctx.command.name)]], incomplete)


def devices(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """Where to compute."""
    return matching(["auto", "cpu", "cuda", "cuda:1", "mps"], incomplete)


def configured_verbs(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """Verbs that have a configuration."""
    return matching(MADE, incomplete)


def keys_of(kind: type[Section], before: str = "") -> list[str]:
    """The dotted keys of a section and those below it."""
    found = []
    for name, field in kind.model_fields.items():
        inner = section_of(field.annotation)
        found += keys_of(inner, f"{before}{name}.") if inner else [before + name]
    return found


def run_folders(verb: str = "*") -> list[str]:
    """Folders of runs under `runs/`, the newest first."""
    return [str(file.parent) for file in sorted(Path("runs").glob(f"{verb}/*/config.yaml"), reverse=True)]


def matching(names: Iterable[str], incomplete: str, *, before: str = "") -> list[CompletionItem]:
    """Those that begin with what was typed, behind what stands before it."""
    return [CompletionItem(before + name) for name in names if name.startswith(incomplete)]


def section_of(annotation: Any) -> type[Section] | None:
    """The section that an annotation means, also where it may be None."""
    options = (annotation, *get_args(annotation))
    return next((option for option in options if isinstance(option, type) and issubclass(option, Section)), None)


def annotation_of(kind: type[Section], key: str) -> Any:
    """The type of the value at a dotted key."""
    *sections, last = key.split(".")
    for name in sections:
        inner = section_of(kind.model_fields[name].annotation)
        assert inner is not None
        kind = inner
    return kind.model_fields[last].annotation


def words_of(annotation: Any) -> Sequence[str]:
    """The strings of a Literal, inside unions, lists and what else surrounds it."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        return [word for option in get_args(annotation) for word in words_of(option)]
    return []
