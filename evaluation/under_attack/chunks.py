"""Trials on many images: in chunks of fixed samples, each kept on disk when it is done, shared out over processes.

A chunk is always attacked as a whole, so the results are bit for bit the same for one process or many, and after any
number of interruptions.
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
from evaluation.under_attack.search import Search, Task
from evaluation.under_attack.trials import Trial, searches

KIND = "search"
_TENSORS = [field.name for field in fields(Search)]


@dataclass(frozen=True)
class Store:
    """Finished searches in a folder, each with a fingerprint of all that it depends on."""

    folder: Path
    identity: dict[str, Any]
    """Plain data (model, data, settings) that must be equal for a stored result to be used again."""

    def read(self, chunk: int, trial: Trial, task: Task) -> list[Search] | None:
        """The searches of a trial on a chunk, or None.

        Raises ValueError where they are of another model, data or settings than the task, or not of its form.

        Results of earlier versions, which searched several budgets in one call, are ignored.
        """
        file = self._file(chunk, trial)
        if not file.is_file():
            return None
        found = load_checkpoint(file, kind=KIND)
        if found.config != self._fingerprint():
            raise ValueError(
                f"{file} belongs to another model, data or settings than are given now: resume with those of then, or "
                "begin a new run"
            )
        if not isinstance(found.state, dict) or found.state.keys() != set(_TENSORS):
            return None
        expected = Search.untouched(task.images, task.clean)
        for name in _TENSORS:
            stored, like = found.state[name], getattr(expected, name)
            if not isinstance(stored, Tensor) or (stored.shape[1:], stored.dtype) != (like.shape, like.dtype):
                raise ValueError(
                    f"{file} is damaged ({name} is not of the {len(like):,} images of its chunk): delete it"
                )
        columns = zip(*(found.state[name].unbind() for name in _TENSORS), strict=True)
        return [Search(**dict(zip(_TENSORS, column, strict=True))) for column in columns]

    def write(self, chunk: int, trial: Trial, found: Sequence[Search]) -> None:
        """Keep the searches of a trial, whole or not at all."""
        state = {name: torch.stack([getattr(each, name) for each in found]) for name in _TENSORS}
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
    on_done: Callable[[str, int, int], None] = lambda name, images, passes: None,
) -> dict[str, list[Search]]:
    """Run every trial on all images of the task; a list of searches per trial, by budget, empty but in process 0.

    With `cascade` each trial gets only images that those before it left correct, so all must have the same budgets.
    `on_done` is called with the trial's name, the chunk's number of images, and the passes they took, also for stored
    results.
    """
    processes = processes or Processes()
    starts = range(0, len(task.numbers), chunk_size)
    mine: dict[int, dict[str, list[Search]]] = {}
    for chunk, start in processes.share(list(enumerate(starts))):
        part = _part(task, start, start + chunk_size)
        found: list[Search] | None = None
        mine[chunk] = {}
        for trial in trials:
            before = found if cascade else None
            known = store.read(chunk, trial, part) if store else None
            found = known or searches(part, trial, before)
            if store and known is None:
                store.write(chunk, trial, found)
            mine[chunk][trial.name] = found
            on_done(trial.name, len(part.numbers), _passes(found))
    everybody = processes.gathered(mine)
    if not processes.is_first:
        return {}
    chunks = {chunk: found for share in everybody for chunk, found in share.items()}
    return {trial.name: _joined([chunks[chunk][trial.name] for chunk in sorted(chunks)]) for trial in trials}


def num_images(count: int, num_trials: int, chunk_size: int, processes: Processes) -> int:
    """The number of images, counted once per trial, that `on_done` is told of in this process."""
    starts = processes.share(list(range(0, count, chunk_size)))
    return num_trials * sum(min(chunk_size, count - start) for start in starts)


def _passes(found: Sequence[Search]) -> int:
    return sum(int(each.forwards.sum() + each.backwards.sum()) for each in found)


def _part(task: Task, start: int, end: int) -> Task:
    """The task on the samples from start to end."""
    clean = Clean(task.clean.labels[start:end], task.clean.logits[start:end])
    targets = None if task.targets is None else task.targets[start:end]
    return replace(task, images=task.images[start:end], clean=clean, numbers=task.numbers[start:end], targets=targets)


def _joined(parts: Sequence[Sequence[Search]]) -> list[Search]:
    """Chunks of the searches of a trial to its searches."""

    def column(chunks: Sequence[Search], name: str) -> Tensor:
        return torch.cat([getattr(chunk, name) for chunk in chunks])

    return [Search(**{name: column(chunks, name) for name in _TENSORS}) for chunks in zip(*parts, strict=True)]
