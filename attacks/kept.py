"""Which of its iterates an attack returns: the first that fools, the best or the last."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attacks.samples import Samples

Keep = Literal["first", "best", "last"]
"""`first`: the first iterate that fools, else the last one. `best`: of all iterates the one with the largest objective
among those that fool, else among all. `last`: the last iterate, whatever it does."""


@dataclass
class Kept:
    """The result of an attack so far: one row for each sample of the whole call, also of those that have left."""

    rule: Keep
    images: Tensor
    fooled: Tensor
    values: Tensor

    @classmethod
    def of(cls, rule: Keep, samples: Samples) -> "Kept":
        """Begin with the unchanged images, none of them known to fool."""
        never = torch.zeros(len(samples), dtype=torch.bool, device=samples.images.device)
        return cls(rule, samples.images.clone(), never, torch.full_like(samples.eps, -torch.inf))

    def offer(self, samples: Samples, iterate: Tensor, logits: Tensor, values: Tensor) -> None:
        """Keep the rows of an iterate that the rule prefers to what is kept, without waiting for the device."""
        if self.rule != "last":
            self.take(samples, iterate, samples.fooled(logits), values)

    def take(self, samples: Samples, iterate: Tensor, fooled: Tensor, values: Tensor) -> None:
        """Do the same where `fooled` (N,) is already known."""
        rows, before = samples.rows, self.fooled[samples.rows]
        better = fooled > before
        if self.rule == "best":
            held = self.values[rows]
            better |= (fooled == before) & (values > held)
            self.values[rows] = torch.where(better, values, held)
        self._put(rows, better, iterate)
        self.fooled[rows] = fooled | before

    def close(self, samples: Samples, iterate: Tensor) -> None:
        """End a restart: a sample that nothing has fooled keeps the last iterate, unless the best one is asked for."""
        if self.rule == "last":
            self.images[samples.rows] = iterate
        elif self.rule == "first":
            self._put(samples.rows, ~self.fooled[samples.rows], iterate)

    def open(self, samples: Samples) -> Tensor:
        """Positions of the samples not fooled so far. Waits for the device, to learn their number."""
        return (~self.fooled[samples.rows]).nonzero().squeeze(1)

    def _put(self, rows: Tensor, taken: Tensor, iterate: Tensor) -> None:
        self.images[rows] = torch.where(taken[:, None, None, None], iterate, self.images[rows])
