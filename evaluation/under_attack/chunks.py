"""Trials on many images: in chunks of fixed samples, each kept on disk when it is done, shared out over processes.

A chunk is attacked whole, whoever does it: so the table is the same bits for one process or many, and after any number
of interruptions.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from advgan.machine.processes import Processes
from advgan.storage.checkpoints import load_checkpoint, save_checkpoint
from evaluation.under_attack.outcomes import Clean
from evaluation.under_attack.search import Search, Task, search
from evaluation.under_attack.trials import Trial

KIND = "search"
_TENSORS = [field.name for field in fields(Search) if field.name != "num_budgets"]


@dataclass(frozen=True)
class Store:
    """Finished searches in a folder, each with a fingerprint of all that it depends on."""

    folder: Path
    identity: dict[str, Any]
    """What must be the same for a result to be used again: model, data, settings; plain data."""

    def read(self, chunk: int, trial: Trial) -> Search | None:
        """The search of a trial on a chunk, or None; ValueError where it is one of another model, data or settings."""
        file = self._file(chunk, trial)
        if not file.is_file():
            return None
        found = load_checkpoint(file, kind=KIND)
        if found.config != self._fingerprint():
            raise ValueError(
                f"{file} belongs to another model, data or settings than are given now: resume with those of then, or "
                "begin a new run"
            )
        return Search(**found.state)

    def write(self, chunk: int, trial: Trial, found: Search) -> None:
        """Keep a search, whole or not at all."""
        state = {name: getattr(found, name) for name in (*_TENSORS, "num_budgets")}
        save_checkpoint(self._file(chunk, trial), kind=KIND, config=self._fingerprint(), state=state)

    def _file(self, chunk: int, trial: Trial) -> Path:
        return self.folder / f"{chunk:05d}-{trial.name.replace('/', '-').replace(':', '-')}.safetensors"

    def _fingerprint(self) -> dict[str, str]:
        return {"sha256": sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()}


def run_trials(
    task: Task,
    trials: Sequence[Trial],
    *,
    cascade: bool = False,
    chunk_size: int = 1024,
    store: Store | None = None,
    processes: Processes | None = None,
    on_done: Callable[[str], None] = lambda name: None,
) -> dict[str, Search]:
    """Search with every trial on all images of the task; in the first process all results, in the others none.

    With `cascade` each trial gets what those before it left, which needs them to have the same budgets. `on_done` hears
    the name of each trial of each chunk.
    """
    processes = processes or Processes()
    starts = range(0, len(task.numbers), chunk_size)
    mine: dict[int, dict[str, Search]] = {}
    for chunk, start in processes.share(list(enumerate(starts))):
        part = _part(task, start, start + chunk_size)
        found: Search | None = None
        mine[chunk] = {}
        for trial in trials:
            before = found if cascade else None
            known = store.read(chunk, trial) if store else None
            found = known or search(part, trial.attack, trial.budgets, before)
            if store and known is None:
                store.write(chunk, trial, found)
            mine[chunk][trial.name] = found
            on_done(trial.name)
    everybody = processes.gathered(mine)
    if not processes.is_first:
        return {}
    chunks = {chunk: found for share in everybody for chunk, found in share.items()}
    return {trial.name: _joined([chunks[chunk][trial.name] for chunk in sorted(chunks)]) for trial in trials}


def num_steps(count: int, num_trials: int, chunk_size: int, processes: Processes) -> int:
    """How often `on_done` is called in this process."""
    return num_trials * len(processes.share(list(range(0, count, chunk_size))))


def _part(task: Task, start: int, end: int) -> Task:
    """The task on the samples from start to end."""
    clean = Clean(task.clean.labels[start:end], task.clean.logits[start:end])
    targets = None if task.targets is None else task.targets[start:end]
    return replace(task, images=task.images[start:end], clean=clean, numbers=task.numbers[start:end], targets=targets)


def _joined(parts: list[Search]) -> Search:
    def column(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    return Search(**{name: column(name) for name in _TENSORS}, num_budgets=parts[0].num_budgets)
