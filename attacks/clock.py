"""Count on the host how many steps the samples of a queue have taken, so that no step has to wait for the device."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.samples import Samples


class Ages(NamedTuple):
    """How many steps each sample of the batch has taken (its age)."""

    present: frozenset[int]
    """The ages that occur in the batch; may include ages of samples that have already left it."""
    born: Tensor
    """(N,) int64: the clock's time when each sample joined."""
    now: int

    def only(self, age: int) -> bool:
        """Whether all samples are of that age."""
        return self.present == {age}

    def are(self, age: int) -> Tensor:
        """Whether each sample is of that age: (N,) booleans."""
        return self.born == self.now - age


@dataclass
class Clock:
    """Counts the steps of a queue in which each sample takes at most `steps`.

    Samples that join together keep the same age. So the host knows without a look at a tensor whether anything is due
    that an attack does at some of its steps only, though samples at different steps share a batch.
    """

    steps: int
    now: int = 0
    births: set[int] = field(default_factory=set)

    def join(self, samples: Samples) -> Tensor:
        """Register samples that begin now, and return their time of joining (N,)."""
        self.births.add(self.now)
        return torch.full_like(samples.rows, self.now)

    def ages(self, born: Tensor) -> Ages:
        """The ages of the samples of a batch."""
        return Ages(frozenset(self.now - birth for birth in self.births), born, self.now)

    def tick(self) -> None:
        """Count one step of every sample, and forget the samples that have taken all of theirs."""
        self.now += 1
        self.births = {birth for birth in self.births if self.now - birth < self.steps}
