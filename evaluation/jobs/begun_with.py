"""What a run goes on from: its newest whole checkpoint, and the data that it was begun with, class by class."""

from collections.abc import Callable
from pathlib import Path

from advgan.config.header import LearntData
from advgan.config.section import Section
from advgan.data import Data
from advgan.data.class_names import listed
from advgan.storage.atomic import copy_atomically
from advgan.storage.checkpoints import load_checkpoint
from advgan.storage.headers import learnt_data
from advgan.storage.runs import Run
from evaluation.jobs.setup import log


def as_begun(data: Data, run: Run | None) -> Data:
    """The data with the class numbers that a resumed run has learnt; as they are for a new run.

    Raises ValueError where a class is new or gone, and where the images are others than it was begun with: it would end
    as none that was left alone.
    """
    stored = _stored(run) if run else None
    if run is None or stored is None:
        return data
    classes = stored.classes
    if len(data.classes) != len(classes):
        raise ValueError(
            f"--resume {run.folder}: it was begun with {len(classes)} classes ({listed(classes)}), {data.name} has "
            f"{len(data.classes)} now ({listed(data.classes)}): bring those back, or begin a new run without --resume"
        )
    data = data.numbered_as(classes, of=str(run.folder)) if classes else data
    if data.digest != stored.digest:
        raise _others(run, f"the images of {data.name}", f"hash {stored.digest}", f"hash {data.digest}")
    return data


_WITHOUT_EFFECT = ("cuda_graphs",)
"""Settings that say how passes are made, not what comes out: another device may need another."""


def check_recipe(run: Run, stored: Section, now: Section, *, section: str, longer: str = "") -> None:
    """Refuse to go on with another recipe than that of the checkpoint; `longer` is the key that may have grown.

    Raises ValueError with the setting and both values.
    """
    for key in type(now).model_fields:
        before, after = getattr(stored, key), getattr(now, key)
        if isinstance(after, Section) and isinstance(before, Section):
            check_recipe(run, before, after, section=f"{section}.{key}")
        elif before != after and key not in (longer, *_WITHOUT_EFFECT):
            raise _others(run, f"{section}.{key} in {run.config_file}", before, after)


def check_judge(run: Run | None, judge: str) -> None:
    """Refuse to go on with another judge than that of the last look, whose distances could not be compared."""
    judges = [row["judge"] for row in run.rows() if "judge" in row] if run else []
    if run and judges and judges[-1] != judge:
        raise _others(run, "the judge of its looks", judges[-1], judge)


def _others(run: Run, what: str, before: object, now: object) -> ValueError:
    return ValueError(
        f"--resume {run.folder}: it was begun with {what} {before}, now {now}, and would end as no run does: bring "
        f"back what it was begun with, or begin a new run without --resume"
    )


def newest_checkpoint(run: Run, read: Callable[[Path], object]) -> Path | None:
    """The last checkpoint of a run that `read` can read, or the one before where the last is damaged, which is said.

    None where there is none yet. Raises ValueError where both are damaged or gone: to begin anew would lose the run in
    silence; and where the best one is damaged, which no step to come makes again.
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
    _check_unbegun(run)
    return None


def _check_best(run: Run) -> None:
    try:
        load_checkpoint(run.best)
    except ValueError as error:
        raise ValueError(f"{error}, and the run ends by scoring it: put back a copy, or begin a new run") from None


def _stored(run: Run) -> LearntData | None:
    """What the newest checkpoint that can be read says of its data; None where there is none."""
    for path in (run.last, run.previous):
        try:
            return learnt_data(load_checkpoint(path))
        except ValueError:  # whoever goes on from it says what is wrong with it
            continue
    return None


def _check_unbegun(run: Run) -> None:
    """Refuse to begin anew a run that has looked at what it learnt, but whose checkpoints are gone.

    A crash after the first look, before its last file, leaves one look and the best checkpoint: that begins anew.
    """
    looks = sum("distance" in row or "validation" in row for row in run.rows())
    if looks > 1 or (looks and not run.best.is_file()):
        raise ValueError(
            f"--resume {run.folder}: its log holds {looks} evaluations, and its checkpoints are gone: put back "
            f"{run.last}, or begin a new run without --resume"
        )
