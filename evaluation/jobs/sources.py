"""Which data a command means: those that it was given, or else those of the run that it works on."""

from pathlib import Path
from typing import Any

from advgan.config import DataConfig
from advgan.config.resolve import read_yaml, validate
from evaluation.jobs.places import read_back


def data_of(given: DataConfig | None, *sources: str) -> DataConfig:
    """The given configuration; what it leaves open is that of the first source that is a run of ours.

    Without any it is the embedded digits. A configuration without a source, such as one of `--resize` alone, changes
    how the run's data are read.
    """
    if given is not None and given.names_source:
        return given
    said: dict[str, Any] = given.model_dump(include=given.model_fields_set - {"source"}) if given else {}
    for source in sources:
        file = _configuration_of(Path(source))
        section = read_yaml(file).get("data") if file else None
        if file and section:
            return read_back(validate(DataConfig, {**section, **said}, source=str(file)), file.parent)
    return validate(DataConfig, {"source": DataConfig().source, **said})


def _configuration_of(source: Path) -> Path | None:
    """The config.yaml of a run folder, or of the run that a checkpoint lies in."""
    for folder in (source, source.parent.parent):
        if source.exists() and (folder / "config.yaml").is_file():
            return folder / "config.yaml"
    return None
