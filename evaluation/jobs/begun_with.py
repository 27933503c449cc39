"""The data of a run that goes on: they must be those that it was begun with, class by class."""

from typing import Any

from advgan.data import Data
from advgan.data.class_names import listed
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


def _stored(run: Run) -> dict[str, Any]:
    """What the newest checkpoint that can be read says of its data; nothing where there is none."""
    for path in (run.last, run.previous):
        try:
            found: dict[str, Any] = load_checkpoint(path).config["data"]
        except (ValueError, KeyError):  # whoever goes on from it says what is wrong with it
            continue
        return found
    return {}
