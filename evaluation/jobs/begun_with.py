"""What a run goes on from: its newest whole checkpoint, and the data that it was begun with, class by class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from advgan.data import Data
from advgan.data.class_names import listed
from advgan.storage.atomic import copy_atomically
from advgan.storage.checkpoints import load_checkpoint
from advgan.storage.runs import Run
from evaluation.jobs.setup import log


def as_begun(data: Data, run: Run | None) -> Data:
    """The data with the class numbers that a resumed run has learnt; as they are for a new run.

    Other images of the same classes are said, since the run then ends as none that was left alone would. Raises
    ValueError where a class is new or gone.
    """
    stored = _stored(run) if run else {}
    if run is None or "classes" not in stored:
        return data
    classes = tuple(stored["classes"])
    if len(data.classes) != len(classes):
        raise ValueError(
            f"--resume {run.folder}: it was begun with {len(classes)} classes ({listed(classes)}), {data.name} has "
            f"{len(data.classes)} now ({listed(data.classes)}): bring those back, or begin a new run without --resume"
        )
    data = data.numbered_as(classes, of=str(run.folder)) if classes else data
    if data.digest != stored.get("digest"):
        log.warning(
            "Note: the images of %s have changed since %s was begun (hash %s, now %s): it does not end as one that was "
            "left alone.",
            *(data.name, run.folder, stored.get("digest"), data.digest),
        )
    return data


def newest_checkpoint(run: Run, read: Callable[[Path], object]) -> Path | None:
    """The last checkpoint of a run that `read` can read, or the one before where the last is damaged, which is said.

    None where there is none. Raises ValueError where both are damaged: to begin anew would lose the run in silence; and
    where the best one is, which no step to come makes again.
    """
    complaint = None
    for path in (run.last, run.previous):
        if not path.is_file():
            continue
        try:
            read(path)
        except ValueError as error:
            if complaint:
                raise ValueError(f"{complaint}; {error}: no checkpoint of {run.folder} is whole") from None
            complaint = str(error)
            continue
        if complaint:
            log.warning("Warning: %s; going on from the checkpoint before it, %s.", complaint, path)
            copy_atomically(path, run.last)  # or the damaged one would become the one before the next
        elif path == run.last:
            _check_best(run)
        return path
    if complaint:
        raise ValueError(f"{complaint}, and there is none before it: begin a new run")
    return None


def _check_best(run: Run) -> None:
    try:
        load_checkpoint(run.best)
    except ValueError as error:
        raise ValueError(f"{error}, and the run ends by scoring it: put back a copy, or begin a new run") from None


def _stored(run: Run) -> dict[str, Any]:
    """What the newest checkpoint that can be read says of its data; nothing where there is none."""
    for path in (run.last, run.previous):
        try:
            found: dict[str, Any] = load_checkpoint(path).config["data"]
        except (ValueError, KeyError):  # whoever goes on from it says what is wrong with it
            continue
        return found
    return {}
