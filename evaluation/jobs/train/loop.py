"""The loop of a GAN's training: log, evaluate, raise alarms, write checkpoints, stop early."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from advgan.config import GanTraining
from advgan.data import Data
from advgan.gan.steps import Step, stacked
from advgan.gan.training import State, train
from advgan.machine.processes import Processes
from advgan.sampling.stored import save_gan
from advgan.storage.atomic import copy_atomically, write_atomically
from advgan.storage.runs import Run
from evaluation.game.look_history import by_one_judge
from evaluation.jobs.setup import log, progress
from evaluation.jobs.train.board import Board
from evaluation.jobs.train.config import TrainConfig
from evaluation.jobs.train.start import recipe_here
from evaluation.record.findings import Finding
from evaluation.watching.alarms import exhausted, raised
from evaluation.watching.monitor import Monitor

AVERAGED = (
    "discriminator_loss",
    "generator_loss",
    "real_probability",
    "fake_probability",
    "real_accuracy",
    "fake_accuracy",
    "discriminator_gradient",
    "generator_gradient",
    "augmentation",
)
OF_PROBABILITIES = ("real_probability", "fake_probability", "real_accuracy", "fake_accuracy")
"""Columns that a Wasserstein critic lacks: its scores have no zero, so no probability and no accuracy."""
Row = dict[str, Any]


@dataclass
class Times:
    """Seconds of a training: in all, in evaluations, and in those parts of them that are diagnostics."""

    total: float = 0.0
    evaluation: float = 0.0
    diagnostics: float = 0.0

    def __str__(self) -> str:
        shares = [100 * part / max(self.total, 1e-9) for part in (self.evaluation, self.diagnostics)]
        return f"evaluations took {shares[0]:.1f} % of {self.total:.0f} s, diagnostics {shares[1]:.1f} %"


def train_watched(
    run: Run, state: State, data: Data, config: TrainConfig, monitor: Monitor | None, processes: Processes
) -> Times:
    """Train to the last step or until patience ends; the first process, which has the monitor, writes all files.

    Everything that is decided here is a function of the log, so that a resumed run decides the same. Raises ValueError
    where a loss or a gradient is no longer finite; the checkpoints from before stay.
    """
    training, times, began = config.training, Times(), time.monotonic()
    if processes.from_first(out_of_patience(looks(run.rows()), config.patience)):
        return times
    board = Board(run.folder / "tensorboard", step=state.step) if config.tensorboard and processes.is_first else None
    steps: list[Step] = []
    shown: dict[str, str] = {}
    with progress(training.steps, "train", initial=state.step) as bar:
        bar.disable = bar.disable or not processes.is_first
        since, seen = time.monotonic(), state.batches * training.batch_size
        for step in train(state, data.train, recipe_here(config, state.device), processes=processes):
            steps.append(step)
            bar.update()
            last = step.step == training.steps
            if step.step % config.log_every and not last:
                continue

            # Log: the only place where the host waits for the device.
            row = mean_row(steps, processes)
            steps.clear()
            rate = (step.images_seen - seen) / max(time.monotonic() - since, 1e-9)
            if (broken := first_broken(row)) is not None:
                _give_up(run, row, broken, processes)
            if training.loss == "wasserstein":
                row = {name: value for name, value in row.items() if name not in OF_PROBABILITIES}
            looking = last or step.step % config.evaluate_every == 0
            grid, stop = None, False

            # Look: score, draw, warn, keep.
            if looking and monitor is not None:
                at = time.monotonic()
                grid, spent = _look(run, state, config, monitor, row)
                times.evaluation += time.monotonic() - at
                times.diagnostics += spent
            elif processes.is_first:
                run.log(row)
            if board:
                board.write(row, grid)
            if looking:
                stop = processes.from_first("stopped" in row)
            shown["images/s"] = f"{rate:,.0f}"
            if looking and processes.is_first:
                shown |= _standing(run.rows())
            bar.set_postfix(shown)
            since, seen = time.monotonic(), step.images_seen
            if stop:
                break
    if board:
        board.close()
    times.total = time.monotonic() - began
    return times


def looks(rows: Sequence[Row]) -> list[Row]:
    """The rows of a log that hold an evaluation, by the judge of the last."""
    return by_one_judge(rows)


def out_of_patience(evaluations: Sequence[Row], patience: int | None) -> bool:
    """Whether training stops early because the distance has not improved; False without `patience`."""
    return exhausted([row["distance"] for row in evaluations], patience)


def first_broken(row: Row) -> str | None:
    """The name of the first value that is NaN or infinite; None if all are finite."""
    values = {**{name: row[name] for name in AVERAGED}, **row["terms"]}
    return next((name for name, value in values.items() if not math.isfinite(value)), None)


def mean_row(steps: Sequence[Step], processes: Processes) -> Row:
    """Means over the steps since the last row and over all processes; one exchange, one wait for the device."""
    whole, terms = stacked(steps), list(steps[-1].terms)
    values = [*(getattr(whole, name) for name in AVERAGED), *whole.terms.values()]
    means = torch.stack([value.double() for value in values], dim=1).mean(dim=0)
    processes.average([means])
    found = means.tolist()
    row: Row = {"step": steps[-1].step, "images_seen": steps[-1].images_seen}
    row |= dict(zip(AVERAGED, found, strict=False))
    row["gradient_ratio"] = row["generator_gradient"] / max(row["discriminator_gradient"], 1e-30)
    return row | {"terms": dict(zip(terms, found[len(AVERAGED) :], strict=True))}


def _look(run: Run, state: State, config: TrainConfig, monitor: Monitor, row: Row) -> tuple[bytes, float]:
    """Complete the row with a look, write it and everything that belongs to it; the grid, and seconds of diagnostics.

    The order makes a crash harmless: until the last file is there, a resumed run comes back to this look.
    """
    before = by_one_judge(run.rows(), monitor.reference.extractor.title)
    seen = monitor.reference.room.within(lambda _: monitor.look(state, before[-1] if before else None))
    row |= seen.row
    history = [*before, row]
    for finding in new_alarms(history, config.training):
        log.warning("Warning, step %d: %s. %s %s", row["step"], finding.title, finding.evidence, finding.advice)
        row.setdefault("alarms", {})[finding.code] = finding.evidence
    if row["step"] < config.training.steps and out_of_patience(history, config.patience):
        row["stopped"] = "patience"
        best = min(history, key=lambda look: look["distance"])
        log.warning(
            "Stopped at step %d: no better distance in %d evaluations; the best, %.4g, is that of step %d.",
            row["step"],
            config.patience,
            best["distance"],
            best["step"],
        )
    write_atomically(run.samples / f"step-{row['step']:07d}.png", seen.grid)
    keep = partial(
        save_gan,
        state=state,
        networks=config.networks,
        training=config.training,
        data=monitor.reference.data.describe(),
    )
    best_now = row["distance"] <= min((look["distance"] for look in before), default=math.inf)
    if best_now:
        keep(run.best)
    run.log(row)
    run.rotate()
    if best_now:
        copy_atomically(run.best, run.last)
    else:
        keep(run.last)
    return seen.grid, seen.diagnostics_seconds


def new_alarms(history: Sequence[Row], training: GanTraining) -> list[Finding]:
    """The alarms that the last of these looks is the first to raise."""
    return [finding for step, finding in raised(history, loss=training.loss) if step == history[-1]["step"]]


def _give_up(run: Run, row: Row, broken: str, processes: Processes) -> None:
    if processes.is_first:
        run.log({"step": row["step"], "images_seen": row["images_seen"], "stopped": "diverged", "broken": broken})
    kept = (
        f"the checkpoint of the last evaluation is {run.last}"
        if run.last.is_file()
        else "no checkpoint was written yet"
    )
    raise ValueError(
        f"training diverged before step {row['step']} ({broken} is no longer finite): lower the learning rates, or add "
        f"training.gradient_penalty; {kept}"
    )


def _standing(rows: Sequence[Row]) -> dict[str, str]:
    """The values of the last evaluation that the progress bar shows."""
    last, alarms = looks(rows)[-1], sum(len(row.get("alarms", ())) for row in rows)
    found = {"distance": f"{last['distance']:.3g}"}
    found |= {} if last["modes_covered"] is None else {"modes": str(last["modes_covered"])}
    return found | ({"alarms": str(alarms)} if alarms else {})
