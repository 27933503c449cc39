"""What is kept of the features that stream by in one pass: all of them, or their moments alone."""

from dataclasses import dataclass, field
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
    """Mean and covariance alone: memory of the size of one covariance, whatever the number of images."""

    moments: Moments | None = None

    def add(self, values: Tensor, probabilities: Tensor) -> None:
        """Take in a batch."""
        part = Moments.of(values)
        self.moments = part if self.moments is None else self.moments + part

    def join(self, later: "RunningMoments") -> "RunningMoments":
        """Both together, in this order."""
        if self.moments is None or later.moments is None:
            return later if self.moments is None else self
        return RunningMoments(self.moments + later.moments)

    def to(self, device: torch.device) -> "RunningMoments":
        """Move them."""
        found = self.moments
        return RunningMoments(found and Moments(found.count, found.mean.to(device), found.scatter.to(device)))
