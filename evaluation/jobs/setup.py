"""The arguments of a job beside its configuration (device, output folder), and its outcome."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from advgan.config.section import Section
from advgan.harmless import printable
from advgan.machine.devices import pick_device
from advgan.machine.threads import reading_threads
from advgan.storage.contents import add_contents
from advgan.storage.runs import PACKAGES, Run, create_run, environment
from advgan.storage.space import check_space, size_of
from evaluation.jobs.places import with_places
from evaluation.record.answers import FILE as ANSWERS
from evaluation.record.scores import Score
from evaluation.report.page import write_report
from evaluation.report.results import Results
from evaluation.report.table import write_scores

log = logging.getLogger("advgan")

RUN_BYTES = 1 << 20
"""Of the files of a run without checkpoints and images, about."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How and where a job runs; nothing here changes a number."""

    device: str = "auto"
    workers: int = 0
    out: Path | None = None
    exist_ok: bool = False
    resume: Run | None = None

    def torch_device(self) -> torch.device:
        """The device; said on stderr where the choice was ours."""
        device = pick_device(self.device)
        if self.device == "auto":
            log.debug("device: %s", device)
        return device

    def reading(self, asked: int | None) -> "Setup":
        """This, reading images with as many threads as asked for, or as many as the machine has cores."""
        workers = reading_threads(asked)
        if asked is None:
            log.debug("reading with %d threads, one a core", workers)
        return replace(self, workers=workers)

    def check_place(self, verb: str, *, checkpoints: int = 0) -> None:
        """Raise OSError, before the work, where the run's folder cannot be written or lacks room.

        `checkpoints` are the bytes of all that the run will have.
        """
        needed = RUN_BYTES + checkpoints
        if self.resume:
            there = size_of(self.resume.last.parent)
            check_space(self.resume.folder, needed=max(RUN_BYTES, needed - there), way="make room there")
        elif not (self.out and self.out.is_file()):  # which is refused in words of its own
            check_space(self.out or Path("runs") / verb, needed=needed, way="make room, or choose another --out")

    def create_run(self, verb: str, name: str, config: Section) -> Run:
        """Make the run folder, once the input is known to be good; nothing is written before."""
        return create_run(verb, name, with_places(config), out=self.out, exist_ok=self.exist_ok)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: its run folder and results; `summary` are the scores for the console, if not all."""

    folder: Path | None
    results: Results
    summary: Sequence[Score] = field(default=())
    made: Sequence[Path] = field(default=())
    """The files and folders that the user asked for, where the job is to make some."""
    unwritten: OSError | None = None
    """Why files of the run are missing: what was computed is shown all the same, and the command fails."""

    @property
    def table_scores(self) -> Sequence[Score]:
        """The scores of the printed table."""
        return self.summary or self.results.scores


def progress(total: int, label: str, *, initial: int = 0, unit: str = "it") -> "tqdm[Any]":
    """A bar on stderr; none where stderr is no terminal, or with --quiet."""
    hidden = None if log.isEnabledFor(logging.INFO) else True
    return tqdm(
        total=total, desc=printable(label), initial=initial, unit=unit, disable=hidden, leave=False, dynamic_ncols=True
    )


def keep(run: Run, results: Results) -> None:
    """Write results.json and scores.csv, lest what follows is interrupted; `finish` says what could not be written."""
    with suppress(OSError):
        _write(run, results)


@contextmanager
def told_later(failed: list[OSError]) -> Iterator[None]:
    """Keep an error of writing in a list for `finish`, since the scores are yet to be shown."""
    try:
        yield
    except OSError as error:
        failed.append(error)


def finish(
    run: Run,
    results: Results,
    *,
    summary: Sequence[Score] = (),
    made: Sequence[Path] = (),
    failed: Sequence[OSError] = (),
) -> Outcome:
    """Write results.json, scores.csv and report.html, say where, and hand the outcome back, with what it `made`.

    Where they cannot be written, or something before `failed`, the outcome says so.
    """
    errors = [*failed]
    with told_later(errors):
        _write(run, results)
        add_contents(run.folder, [file for file in (run.folder / ANSWERS, *made) if file.is_file()])
        log.info("report: %s", write_report(run.folder))
    return Outcome(run.folder, results, summary, made, unwritten=errors[0] if errors else None)


def _write(run: Run, results: Results) -> None:
    """What `advgan report` makes the page from."""
    results.save(run.folder)
    write_scores(run.folder / "scores.csv", results.scores)


def now() -> str:
    """The time of a result, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> tuple[tuple[str, str], ...]:
    """Python and the packages that make numbers, for the foot of a report."""
    found = environment()
    packages = ((name, found["packages"][name]) for name in PACKAGES)
    return (("python", found["python"]), *((name, version) for name, version in packages if version))
