"""The attack of adversarial training, recorded once as a CUDA graph and replayed with a single launch."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from advgan.machine.cause import innermost
from advgan.machine.cuda_graphs import CudaGraphs
from advgan.machine.recorder import PRACTICE, Recorder

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """The batch to attack."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class _Recording(NamedTuple):
    given: Batch
    result: Tensor
    again: Callable[[], None]


@dataclass
class RecordedAttack:
    """Attacks batch after batch, from a recording once shapes and budget have been the same for a few batches.

    While the budget warms up it changes in every step, and nothing is recorded. An attack that cannot be recorded (it
    waits for the device, say) is run directly from then on. The result is overwritten by the next attack.
    """

    recorder: Recorder | None
    """None: nothing is recorded."""
    known: tuple[Any, ...] = ()
    practised: int = 0
    recording: _Recording | None = None

    def __call__(self, attack: Callable[[Batch], Tensor], batch: Batch, *, eps: float) -> Tensor:
        """Attack a batch; `attack` must do the same for all batches of one shape and budget."""
        if self.recorder is None:
            return attack(batch)
        known = (eps, *(each.shape for each in batch))
        if known != self.known:
            self.known, self.practised, self.recording = known, 0, None
        if self.practised < PRACTICE:
            self.practised += 1
            return self.recorder.aside(lambda: attack(batch))
        if self.recording is None:
            self._record(self.recorder, attack, batch)
        if self.recording is None:
            return attack(batch)
        for old, new in zip(self.recording.given, batch, strict=True):
            old.copy_(new)
        self.recording.again()
        return self.recording.result

    def _record(self, recorder: Recorder, attack: Callable[[Batch], Tensor], batch: Batch) -> None:
        given = Batch(*(each.clone() for each in batch))
        try:
            self.recording = _Recording(given, *recorder.record(lambda: attack(given)))
        except RuntimeError as error:
            log.debug("the attack is not recorded: %s", innermost(error))
            self.recorder = None


def attack_recorder(device: torch.device, *, is_wanted: bool) -> RecordedAttack:
    """Make the attacker of a training: recorded on CUDA where `is_wanted`, else direct."""
    if device.type == "cuda" and is_wanted:
        return RecordedAttack(CudaGraphs(device))
    log.debug("the attack is not recorded: %s", f"{device} has no CUDA graphs" if is_wanted else "nobody asks for it")
    return RecordedAttack(None)
