"""Resolve the data of a command: those given, else those that the network it works on was trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advgan.config import DataConfig
from advgan.config.header import LearntData
from advgan.config.resolve import validate
from advgan.storage.runs import read_config
from evaluation.jobs.places import read_back

DIGITS = DataConfig().source
SIDE = 8
"""Of the embedded digits, which are grey."""


def data_of(given: DataConfig | None, *sources: str) -> DataConfig:
    """The same as `known_data`, or the embedded digits where nothing says anything of data."""
    return known_data(given, *sources) or validate(DataConfig, {"source": DIGITS, **_said(given)})


def known_data(given: DataConfig | None, *sources: str) -> DataConfig | None:
    """The given configuration; what it leaves open is that of the first source that is a run of ours.

    A configuration without a source, such as one of `--resize` alone, changes how the run's data are read. None where
    no source is ours. Raises ValueError where one learnt from other images than the digits, and nothing says where
    those lie: a checkpoint that was copied out of its run, or an export.
    """
    if given is not None and given.names_source:
        return given
    for source in sources:
        file = _configuration_of(Path(source))
        section = read_config(file.parent).get("data") if file else None
        if file and section:
            return read_back(validate(DataConfig, {**section, **_said(given)}, source=str(file)), file.parent)
    for source in sources:
        if learnt := _learnt_from(Path(source)):
            return _digits_of(source, learnt, _said(given))
    return None


def _said(given: DataConfig | None) -> dict[str, Any]:
    return given.model_dump(include=given.model_fields_set - {"source"}) if given else {}


def _configuration_of(source: Path) -> Path | None:
    """The config.yaml of a run folder, or of the run that a checkpoint lies in."""
    for folder in (source, source.parent.parent):
        if source.exists() and (folder / "config.yaml").is_file():
            return folder / "config.yaml"
    return None


def _digits_of(source: str, learnt: LearntData, said: Mapping[str, Any]) -> DataConfig:
    """The digits, in the form in which the source learnt them; ValueError where it learnt something else."""
    from advgan.data import load_data

    form = {"resize": learnt.size} if learnt.size != SIDE else {}
    form |= {"channels": learnt.channels} if learnt.channels != 1 else {}
    if learnt.name == DIGITS:
        digits = validate(DataConfig, {"source": DIGITS, **form})
        if load_data(digits).digest == learnt.digest:
            return validate(DataConfig, {"source": DIGITS, **form, **said})
    classes = f", {len(learnt.classes)} classes" if learnt.classes else ""
    raise ValueError(
        f"{source}: learnt from {learnt.name} ({learnt.channels}x{learnt.size}x{learnt.size}{classes}), "
        "and lies in no run that says where those images are: name them with --data"
    )


def _learnt_from(source: Path) -> LearntData | None:
    """The data of a checkpoint or an export of ours, as its header says; None of others."""
    from advgan.storage.checkpoints import SUFFIX, find_checkpoint, load_checkpoint
    from advgan.storage.exported import read_exported
    from advgan.storage.headers import learnt_data

    try:
        about = read_exported(source if source.is_dir() else source.parent)
        if about and about.size and about.channels and about.data_digest:
            form = about.model_dump(include={"classes", "size", "channels"})
            return LearntData(name=about.data, digest=about.data_digest, **form)
        if source.suffix != SUFFIX and not (source / "checkpoints").is_dir():
            return None
        return learnt_data(load_checkpoint(find_checkpoint(source)))
    except ValueError:
        return None  # damaged, or somebody else's: whoever loads it says so
