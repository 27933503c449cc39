"""One pass of each player of a GAN: forward, and backward to the gradients of its parameters."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from advgan.config import GanTraining
from advgan.gan.game import (
    Sight,
    Turn,
    discriminator_turn,
    discriminator_weights,
    generator_turn,
    generator_weights,
    loss_of,
)
from advgan.gan.losses import Loss
from advgan.gan.rounds import Round, make, see
from advgan.gan.state import State
from advgan.models.interface import Network
from advgan.models.layers.normalization import counters
from advgan.models.layers.spectral import BoundTogether


class Judged(NamedTuple):
    """The result of a discriminator's pass."""

    fake: Tensor
    """The generated images, with their graph where the generator is to learn from them."""
    sight: Sight
    turn: Turn


class Passes(Protocol):
    """How the passes are run: directly, or replayed from a recording (`advgan.gan.recording`)."""

    overwrites: bool
    """Whether the tensors of a pass's result are overwritten by the next pass of its kind."""

    def discriminate(self, part: Round, *, keeps: bool) -> Judged:
        """Generate images, and accumulate the discriminator's gradients; `keeps` keeps the images' graph."""
        ...

    def generate(self, part: Round, fake: Tensor | None) -> Turn:
        """Accumulate the gradients of the generator's loss on `fake`, with the graph that `discriminate` kept.

        None: on newly generated images.
        """
        ...


@dataclass(frozen=True)
class DirectPasses:
    """The passes as plain function calls."""

    state: State
    training: GanTraining
    overwrites = False

    @cached_property
    def loss(self) -> Loss:
        return loss_of(self.training)

    @cached_property
    def discriminator_weights(self) -> dict[str, float]:
        return discriminator_weights(self.state, self.training)

    @cached_property
    def generator_weights(self) -> dict[str, float]:
        return generator_weights(self.state, self.training)

    def discriminate(self, part: Round, *, keeps: bool) -> Judged:
        """See `Passes`."""
        with torch.set_grad_enabled(keeps), self.bounds[0].once(), self._precision():
            fake = self._made(part)
        with self._bounded(), self._precision():
            sight = see(self.state, self.training, part, fake.detach(), generator=False)
            turn = discriminator_turn(sight, self.loss, self.discriminator_weights)
        self._backward(turn)
        return Judged(fake, sight, turn)

    def generate(self, part: Round, fake: Tensor | None) -> Turn:
        """See `Passes`."""
        with frozen(self.state.discriminator):
            with self.bounds[0].once() if fake is None else nullcontext(), self._bounded(), self._precision():
                images = self._made(part) if fake is None else fake
                sight = see(self.state, self.training, part, images, generator=True)
                turn = generator_turn(sight, self.loss, self.generator_weights)
            self._backward(turn)
        return turn

    @cached_property
    def counters(self) -> list[Tensor]:
        """The generator's counts of batches; the discriminator keeps no running statistics."""
        return counters(self.state.generator)

    def _made(self, part: Round) -> Tensor:
        if self.counters:
            torch._foreach_add_(self.counters, 1)
        return make(self.state, part)

    @cached_property
    def bounds(self) -> tuple[BoundTogether, BoundTogether]:
        """The weights under spectral norm of the generator and of the discriminator."""
        more = self.training.orthogonal > 0 or self.training.historical_averaging > 0
        return BoundTogether(self.state.generator, apart=more), BoundTogether(self.state.discriminator, apart=more)

    def _bounded(self) -> AbstractContextManager[None]:
        """Apply spectral norm to the discriminator once for the block, unless each batch has its own iteration."""
        return nullcontext() if self.training.power_iterations == "batch" else self.bounds[1].once()

    @cached_property
    def share(self) -> Tensor:
        """The weight of a part's loss in the loss of the whole batch."""
        return torch.full((), 1 / self.training.accumulation, device=self.state.device)

    def _backward(self, turn: Turn) -> None:
        torch.autograd.backward(turn.total, self.share)

    def _precision(self) -> torch.autocast:
        """Casts of weights are kept until the block ends, so no optimiser may step inside."""
        return torch.autocast(self.state.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16")


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """Let gradients flow through a network without computing those of its parameters."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
