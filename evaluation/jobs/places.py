"""Where a run's data lie: written down so that they are found from any working folder, and looked for in older runs."""

import os
from pathlib import Path

from advgan.config import DataConfig
from advgan.config.section import Section


def with_places(config: Section) -> Section:
    """The same configuration, with the path of its data from the root of the disk."""
    data = getattr(config, "data", None)
    if not isinstance(data, DataConfig) or not data.source:
        return config
    return config.model_copy(update={"data": data.model_copy(update={"source": found_from(data.source, Path.cwd())})})


def found_from(source: str, *folders: Path) -> str:
    """The source with its path from the root, as it lies in the first of the folders that has it; else as it is.

    Names of data sets are no paths, even beside a folder of that name; `stacked:` stays before what it stacks.
    """
    from advgan.data import KNOWN  # which loads torch, and a verb's settings do without
    from advgan.data.stacked import PREFIX

    if source.lower().startswith(PREFIX):
        return source[: len(PREFIX)] + found_from(source[len(PREFIX) :], *folders)
    path = Path(source).expanduser()
    if not source or source.lower() in KNOWN or path.is_absolute():
        return source
    return next((os.path.abspath(each / path) for each in folders if (each / path).exists()), source)


def of_run(source: str, run: Path) -> str:
    """The source that a run names: from here, else from the folders above the run, in one of which it was begun."""
    return found_from(source, Path.cwd(), *run.absolute().parents)
