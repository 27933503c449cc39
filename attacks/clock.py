"""How many steps the samples of a queue have taken, counted by the host, so that no tensor has to be asked."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.samples import Samples


class Ages(NamedTuple):
    """The steps that the samples in play have taken."""

    present: frozenset[int]
    """All that occur, and perhaps some whose samples have left."""
    born: Tensor
    """(N,) int64: when each sample joined."""
    now: int

    def only(self, age: int) -> bool:
        """Whether all samples are of that age."""
        return self.present == {age}

    def are(self, age: int) -> Tensor:
        """Whether each sample is of that age: (N,) booleans."""
        return self.born == self.now - age


@dataclass
class Clock:
    """Counts the steps of a queue in which each sample takes at most so many.

    Samples that join together are of one age from then on. So what an attack does at some of its steps alone costs the
    others nothing, though samples at different steps share a batch.
    """

    steps: int
    now: int = 0
    births: set[int] = field(default_factory=set)

    def join(self, samples: Samples) -> Tensor:
        """Let samples begin: (N,), the time at which they do."""
        self.births.add(self.now)
        return torch.full_like(samples.rows, self.now)

    def ages(self, born: Tensor) -> Ages:
        """The ages of the samples of a batch."""
        return Ages(frozenset(self.now - birth for birth in self.births), born, self.now)

    def tick(self) -> None:
        """Count a step of all; who has taken all of its steps is in play no more."""
        self.now += 1
        self.births = {birth for birth in self.births if self.now - birth < self.steps}
