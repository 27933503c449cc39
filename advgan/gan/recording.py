"""Passes recorded once as CUDA graphs and replayed: the same work on the device, without Python and kernel launches.

A recording is a list of kernels with fixed addresses of inputs and outputs. So inputs are copied to the addresses of
the recording, and outputs, gradients included, are overwritten by the next replay. Decisions of the host are fixed at
recording: passes with and without a penalty, or whose images keep their graph, are recorded separately.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from advgan.config import GanTraining
from advgan.gan.game import Turn
from advgan.gan.passes import DirectPasses, Judged, Passes
from advgan.gan.rounds import Round
from advgan.gan.state import State
from advgan.machine.cause import innermost
from advgan.machine.cuda_graphs import CudaGraphs
from advgan.machine.recorder import PRACTICE, Recorder
from advgan.models.interface import Growing, Network
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d

T = TypeVar("T")
log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """The key of a discriminator's recording: the decisions of the host that it holds."""

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

    adds: bool = False
    """Whether gradients are accumulated, as for the parts of a batch, instead of replaced."""

    def replay(self) -> T:
        """Replay the pass; its result and gradients are the same tensors with new values."""
        self.again()
        for parameter, gradient in self.gradients:
            if not self.adds or gradient is None:
                parameter.grad = gradient
            elif parameter.grad is None:
                parameter.grad = gradient.clone()
            else:
                parameter.grad.add_(gradient)
        return self.result


@dataclass
class RecordedPasses:
    """The passes of `direct`, each recorded after some warm-up passes; called in the order of `advgan.gan.training`.

    Gradients accumulate only between the parts of a batch; else those of the parameters must be None before each pass.
    Recording does not run the pass and has no side effects: where it fails, passes are direct from there on.
    """

    overwrites = True
    direct: DirectPasses
    recorder: Recorder
    insists: bool = True
    """Whether a pass that cannot be recorded ends training, by a ValueError that says why."""
    practised: Counter[Kind] = field(default_factory=Counter)
    inputs: dict[Kind, Round] = field(default_factory=dict)
    discriminations: dict[Kind, Recording[Judged]] = field(default_factory=dict)
    generations: dict[Kind, Recording[Turn]] = field(default_factory=dict)
    redrawn: dict[Kind, Recording[Turn]] = field(default_factory=dict)
    """The generator's passes on images of their own, where a recipe has any."""
    rehearsed: int = 0
    """Warm-up passes of the generator so far."""
    latest: Kind | None = None
    """The kind of the discriminator's last pass; None where it was a warm-up or direct."""
    gave_up: bool = False

    def discriminate(self, part: Round, *, keeps: bool) -> Judged:
        """See `Passes`."""
        training = self.direct.training
        kind = Kind(keeps, self.direct.state.batches % training.penalty_every == 0)
        if self.practised[kind] < PRACTICE or (self._generates(kind) and self.rehearsed < PRACTICE):
            self.practised[kind] += 1
            self.latest = None
            return self.recorder.aside(lambda: self.direct.discriminate(part, keeps=keeps))
        if kind not in self.discriminations and not self.gave_up:
            self._record(kind, part)
        if self.gave_up:
            return self.recorder.aside(lambda: self.direct.discriminate(part, keeps=keeps))
        self.latest = kind
        _copy(part, self.inputs[kind])
        return self.discriminations[kind].replay()

    def generate(self, part: Round, fake: Tensor | None) -> Turn:
        """See `Passes`. The generator's recording is the one made together with the pass that made its images."""
        if self.latest is None:
            self.rehearsed += 1
            return self.recorder.aside(lambda: self.direct.generate(part, fake))
        if fake is not None:
            return self.generations[self.latest].replay()
        _copy(part, self.inputs[self.latest])
        return self.redrawn[self.latest].replay()

    @property
    def _redraws(self) -> bool:
        training = self.direct.training
        return training.redraws or training.accumulation > 1

    def _generates(self, kind: Kind) -> bool:
        """Whether passes of the generator are recorded beside this kind of the discriminator's."""
        return kind.keeps or self._redraws

    def _record(self, kind: Kind, part: Round) -> None:
        """Record a discriminator's pass and the generator's on its images, before either is replayed."""
        direct, given = self.direct, _cloned(part)
        try:
            judged = self._recorded(lambda: direct.discriminate(given, keeps=kind.keeps), direct.state.discriminator)
            if kind.keeps:
                fake = judged.result.fake
                self.generations[kind] = self._recorded(lambda: direct.generate(given, fake), direct.state.generator)
            if self._redraws:
                self.redrawn[kind] = self._recorded(lambda: direct.generate(given, None), direct.state.generator)
        except RuntimeError as error:
            self._give_up(error)
            return
        self.inputs[kind], self.discriminations[kind] = given, judged

    def _recorded(self, work: Callable[[], T], player: Network) -> Recording[T]:
        """Record a pass of a player; its gradients are set to None meanwhile, so that none are accumulated."""
        parameters = list(player.parameters())
        before = [parameter.grad for parameter in parameters]
        _give(parameters, [None] * len(parameters))
        try:
            result, again = self.recorder.record(work)
            left: list[tuple[Tensor, Tensor | None]] = [(parameter, parameter.grad) for parameter in parameters]
            return Recording(result, left, again, adds=self.direct.training.accumulation > 1)
        finally:
            _give(parameters, before)

    def _give_up(self, error: RuntimeError) -> None:
        reason = f"this recipe cannot be recorded ({innermost(error)})"
        if self.insists:
            raise insisted(reason) from error
        log.debug("passes are not recorded: %s", reason)
        self.gave_up, self.latest = True, None
        for recordings in (self.inputs, self.discriminations, self.generations, self.redrawn):
            recordings.clear()


def obstacle(device: torch.device, *, grows: bool, synchronised: bool) -> str | None:
    """The reason why passes cannot be recorded, as far as it is known in advance; None where there is none."""
    reasons = {
        f"--device {device} has no CUDA graphs": device.type != "cuda",
        "networks.family progressive grows, and a recording has one shape": grows,
        "networks.synchronised waits for the other processes": synchronised,
    }
    return next((text for text, holds in reasons.items() if holds), None)


def insisted(reason: str) -> ValueError:
    """The error of a training that insists on recordings."""
    return ValueError(f"training.cuda_graphs true: {reason}; set it to auto")


def passes_for(state: State, training: GanTraining) -> Passes:
    """The passes of a training: recorded where its recipe and its device allow.

    Raises ValueError where the recipe insists on recordings that cannot be made.
    """
    direct = DirectPasses(state, training)
    if training.cuda_graphs is False:
        return direct
    players = (state.generator, state.discriminator)
    modules = [module for player in players for module in player.modules()]
    found = obstacle(
        state.device,
        grows=any(isinstance(player, Growing) for player in players),
        synchronised=any(isinstance(module, SynchronisedBatchNorm2d) for module in modules),
    )
    if found and training.cuda_graphs is True:
        raise insisted(found)
    if found:
        log.debug("passes are not recorded: %s", found)
        return direct
    return RecordedPasses(direct, CudaGraphs(state.device), insists=training.cuda_graphs is True)


def _give(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _tensors(part: Round) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(part) if isinstance(leaf, Tensor)]


def _cloned(part: Round) -> Round:
    cloned: Round = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, part)
    return cloned


def _copy(source: Round, target: Round) -> None:
    torch._foreach_copy_(_tensors(target), _tensors(source))
