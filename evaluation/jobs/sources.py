"""Which data a command means: those that it was given, or else those of the run that it works on."""

from pathlib import Path

from advgan.config import DataConfig
from advgan.config.resolve import read_yaml, validate


def data_of(given: DataConfig | None, *sources: str) -> DataConfig:
    """The given configuration; else that of the first source that is a run of ours; else the embedded digits."""
    if given is not None:
        return given
    for source in sources:
        file = _configuration_of(Path(source))
        section = read_yaml(file).get("data") if file else None
        if section:
            return validate(DataConfig, section, source=str(file))
    return DataConfig()


def _configuration_of(source: Path) -> Path | None:
    """The config.yaml of a run folder, or of the run that a checkpoint lies in."""
    for folder in (source, source.parent.parent):
        if source.exists() and (folder / "config.yaml").is_file():
            return folder / "config.yaml"
    return None
