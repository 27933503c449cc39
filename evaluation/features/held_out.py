"""The accuracy of a classifier on held-out images, which says how far its features can carry scores."""

from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.statistics.intervals import Estimate, wilson

WEAK = 0.8
"""Accuracy below which a classifier counts as a weak judge: one image of five is misclassified."""


class HeldOut(NamedTuple):
    """Counts over held-out images, so that the same network has the same words on every machine."""

    correct: int
    images: int
    commonest: int
    """Images of the most frequent class: what always predicting that class gets right."""
    called: str = "held-out images"

    @classmethod
    def of(cls, predictions: Tensor, labels: Tensor, *, called: str = "held-out images") -> "HeldOut":
        """Count (N,) predicted classes against (N,) labels, both int64."""
        commonest = int(torch.bincount(labels).max()) if len(labels) else 0
        return cls(int((predictions.cpu() == labels.cpu()).sum()), len(labels), commonest, called)

    @property
    def accuracy(self) -> Estimate:
        """Share of right answers, with its Wilson interval; NaN where there are no images."""
        share = self.correct / self.images if self.images else float("nan")
        return Estimate(share, *wilson(self.correct, self.images))

    @property
    def guess(self) -> float:
        """The accuracy of always predicting the most frequent class."""
        return self.commonest / self.images if self.images else 1.0

    @property
    def is_weak(self) -> bool:
        """Whether the accuracy is below WEAK, unknown, or not significantly above `guess`."""
        found = self.accuracy
        return not (found.value >= WEAK and found.low > self.guess)

    @property
    def words(self) -> str:
        """`which names 96.7 % [95.2 %, 97.7 %] of 808 held-out images right`."""
        if not self.images:
            return f"tried on no {self.called}"
        value, low, high = (f"{share:.1%}".replace("%", " %") for share in self.accuracy)
        return f"which names {value} [{low}, {high}] of {self.images:,} {self.called} right"
