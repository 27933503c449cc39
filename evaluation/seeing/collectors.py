"""Collectors of the features of one pass: keep all of them, or their moments alone."""

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, Protocol

import torch
from torch import Tensor

from evaluation.features.moments import Moments


class Collector(Protocol):
    """What is kept of the features that one extractor sees."""

    def add(self, values: Tensor, probabilities: Tensor) -> None:
        """Take in the features (N, D) and class probabilities (N, K) of the next batch."""
        ...

    def join(self, later: Any) -> Any:
        """Give what this one and `later`, of the batches after it, are together."""
        ...

    def to(self, device: torch.device) -> Any:
        """Give the same on another device, to be sent from one process to another."""
        ...


@dataclass
class Kept:
    """All features, as they are."""

    values: list[Tensor] = field(default_factory=list)
    probabilities: list[Tensor] = field(default_factory=list)

    def add(self, values: Tensor, probabilities: Tensor) -> None:
        """Keep a batch."""
        self.values.append(values)
        self.probabilities.append(probabilities)

    def join(self, later: "Kept") -> "Kept":
        """One after the other."""
        self.values += later.values
        self.probabilities += later.probabilities
        return self

    def to(self, device: torch.device) -> "Kept":
        """Move them."""
        return Kept([each.to(device) for each in self.values], [each.to(device) for each in self.probabilities])


@dataclass
class RunningMoments:
    """Mean and covariance alone; of no more images than features the features themselves, which take less memory.

    So it never holds more than one covariance does, whatever the number of images.
    """

    blocks: list[list[Tensor]] = field(default_factory=list)
    """Features (N, D) by block and batch, as long as they are few."""
    folded: Moments | None = None
    """The moments, once there are more images than features."""

    @property
    def few(self) -> Tensor | None:
        """All features (N, D), where they are no more than their columns; else None."""
        return torch.cat([batch for block in self.blocks for batch in block]) if self.blocks else None

    @property
    def moments(self) -> Moments:
        """The moments of all images, batch after batch within a block and block after block."""
        return self.folded or reduce(add, (reduce(add, map(Moments.of, block)) for block in self.blocks))

    def add(self, values: Tensor, probabilities: Tensor) -> None:
        """Take in a batch."""
        if self.folded is None:
            self.blocks = [[*(self.blocks[0] if self.blocks else ()), values]]
            self._fold()
        else:
            self.folded = self.folded + Moments.of(values)

    def join(self, later: "RunningMoments") -> "RunningMoments":
        """Both together, in this order."""
        if not self.count or not later.count:
            return self if self.count else later
        if self.folded or later.folded:
            return RunningMoments(folded=self.moments + later.moments)
        both = RunningMoments([*self.blocks, *later.blocks])
        both._fold()
        return both

    def to(self, device: torch.device) -> "RunningMoments":
        """Move them."""
        found = self.folded
        return RunningMoments(
            [[batch.to(device) for batch in block] for block in self.blocks],
            found and Moments(found.count, found.mean.to(device), found.scatter.to(device)),
        )

    @property
    def count(self) -> int:
        """Images so far."""
        return self.folded.count if self.folded else sum(len(batch) for block in self.blocks for batch in block)

    @property
    def columns(self) -> int:
        """Features of an image."""
        return len(self.folded.mean) if self.folded else self.blocks[0][0].shape[1]

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.folded.mean.device if self.folded else self.blocks[0][0].device

    def _fold(self) -> None:
        if self.count > self.columns:
            self.blocks, self.folded = [], self.moments
