"""Passes that are recorded once and replayed: the same work on the device, without Python and its launches in between.

A recording is a list of kernels with the addresses of what they read and write. So what a pass is given is copied to
the addresses that the recording knows, and what it leaves, gradients included, lies where it lay the last time, until
the next replay overwrites it. Whatever the host decides is fixed when the pass is recorded: a pass with a penalty and
one without, or one whose images keep their graph, have recordings of their own.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor

from advgan.config import GanTraining
from advgan.cuda_graphs import CudaGraphs
from advgan.game import Turn
from advgan.gan_state import State
from advgan.models.interface import Network
from advgan.passes import DirectPasses, Judged, Passes
from advgan.rounds import Round

T = TypeVar("T")
PRACTICE = 3
"""Passes of each kind that run as they are written before one is recorded, so that libraries choose their kernels."""


class Recorder(Protocol):
    """What records work on a device."""

    def aside(self, work: Callable[[], T]) -> T:
        """Do the work once, unrecorded, where recorded work runs."""
        ...

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Do the work once and record it: what it returns, and a function that does it again, into the same tensors."""
        ...


class Kind(NamedTuple):
    """What tells the recordings of one discriminator's passes apart."""

    keeps: bool
    """Whether the images keep their graph."""
    is_penalised: bool
    """Whether the lazy penalties are due."""


@dataclass
class Recording(Generic[T]):
    """One pass that can be replayed."""

    result: T
    gradients: list[tuple[Tensor, Tensor | None]]
    """The player's parameters, each with the gradient that a replay leaves."""
    again: Callable[[], None]

    def replay(self) -> T:
        """Do the pass again; its result and gradients are the same tensors with new values."""
        self.again()
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        return self.result


@dataclass
class RecordedPasses:
    """The passes of `direct`, each recorded after some practice. They follow on each other as in advgan.training.

    Gradients are not added to what was there: the parameters' must be None before each pass.
    """

    direct: DirectPasses
    recorder: Recorder
    practised: Counter[Kind] = field(default_factory=Counter)
    inputs: dict[Kind, Round] = field(default_factory=dict)
    discriminations: dict[Kind, Recording[Judged]] = field(default_factory=dict)
    generations: dict[Kind, Recording[Turn]] = field(default_factory=dict)
    latest: Kind | None = None
    """Of the last discriminator's pass; None where that was practice."""

    def discriminate(self, part: Round, *, keeps: bool) -> Judged:
        """See `Passes`."""
        training = self.direct.training
        kind = Kind(keeps, self.direct.state.batches % training.penalty_every == 0)
        if self.practised[kind] < PRACTICE:
            self.practised[kind] += 1
            self.latest = None
            return self.recorder.aside(lambda: self.direct.discriminate(part, keeps=keeps))
        self.latest = kind
        if kind in self.discriminations:
            _copy(part, self.inputs[kind])
            return self.discriminations[kind].replay()
        given = self.inputs[kind] = _cloned(part)
        found = self._record(lambda: self.direct.discriminate(given, keeps=keeps), self.direct.state.discriminator)
        self.discriminations[kind] = found
        return found.result

    def generate(self, part: Round, fake: Tensor | None) -> Turn:
        """See `Passes`. The recording of a generator's pass belongs to that of the pass that made its images."""
        if self.latest is None:
            return self.recorder.aside(lambda: self.direct.generate(part, fake))
        if self.latest in self.generations:
            return self.generations[self.latest].replay()
        given = self.inputs[self.latest]
        found = self._record(lambda: self.direct.generate(given, fake), self.direct.state.generator)
        self.generations[self.latest] = found
        return found.result

    def _record(self, work: Callable[[], T], player: Network) -> Recording[T]:
        result, again = self.recorder.record(work)
        return Recording(result, [(parameter, parameter.grad) for parameter in player.parameters()], again)


def passes_for(state: State, training: GanTraining) -> Passes:
    """The passes of a training: recorded where it says so."""
    direct = DirectPasses(state, training)
    return RecordedPasses(direct, CudaGraphs(state.device)) if training.cuda_graphs else direct


def _tensors(part: Round) -> list[Tensor]:
    return [part.numbers, part.real, part.labels, part.noise, *(part.labelled or ())]


def _cloned(part: Round) -> Round:
    numbers, real, labels, noise, *labelled = (tensor.clone() for tensor in _tensors(part))
    return Round(numbers, real, labels, noise, (labelled[0], labelled[1]) if labelled else None)


def _copy(source: Round, target: Round) -> None:
    for new, old in zip(_tensors(source), _tensors(target), strict=True):
        old.copy_(new)
