"""Observe an attack's queries: whether any of its iterates was adversarial, and how its loss rose."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks import Attack, Classifier, Gradient, Norm
from attacks.classifier import Jacobian, Objective
from attacks.objectives import log_odds, margin
from evaluation.under_attack.probes import Probes, rewrapped

CLEARLY = 1e-3
"""An iterate counts as fooling from this share of its largest logit on: less can be the rounding of another batch."""


class Watched(Classifier):
    """A classifier that records each query and its logits in a `Note`."""

    note: "Note | None" = None

    def logits(self, images: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """As any classifier, and note it."""
        logits = super().logits(images, rows=rows)
        return self._noted(images, logits, rows)

    def gradient(self, images: Tensor, objective: Objective, *, rows: Tensor | None = None) -> Gradient:
        """As any classifier, and note it."""
        found = super().gradient(images, objective, rows=rows)
        self._noted(images, found.logits, rows)
        return found

    def jacobian(self, images: Tensor, *, classes: Tensor | None = None, rows: Tensor | None = None) -> Jacobian:
        """As any classifier, and note it."""
        found = super().jacobian(images, classes=classes, rows=rows)
        self._noted(images, found.logits, rows)
        return found

    def _noted(self, images: Tensor, logits: Tensor, rows: Tensor | None) -> Tensor:
        if self.note is not None:
            self.note.take(images.detach(), logits, rows)
        return logits


@dataclass
class Note:
    """The record of an attack's queries on n probes, as far as they lie in the ball and in [0, 1]."""

    probes: Probes
    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        count, device = len(self.probes), self.probes.images.device
        self.fooled = torch.zeros(count, dtype=torch.bool, device=device)
        """(n,) bool: an image in ball and bounds clearly fooled."""
        self.example = self.probes.images.clone()
        """(n, C, H, W): the last of them, else the image as it is."""
        self.rise: list[Tensor] = []
        """Calls of (n,): the best log-odds in ball and bounds until then."""

    def take(self, images: Tensor, logits: Tensor, rows: Tensor | None) -> None:
        """Record one call; images that cannot be assigned to a probe (no `rows`) are skipped."""
        if rows is None:
            if len(images) != len(self.probes):
                return
            rows = torch.arange(len(images), device=images.device)
        labels, within = self.probes.labels[rows], self.probes.within(images, self.norm, self.eps, rows=rows)
        clear = margin(logits, labels) > CLEARLY * logits.abs().amax(dim=1)
        self.fooled[rows[within & clear]] = True
        self.example[rows[within & clear]] = images[within & clear]
        nothing = torch.full((len(self.probes),), -torch.inf, dtype=logits.dtype, device=logits.device)
        best = self.rise[-1] if self.rise else nothing
        values = torch.where(within, log_odds(logits, labels), -torch.inf)
        self.rise.append(best.scatter_reduce(0, rows, values, "amax"))


def watch(probes: Probes, attack: Attack, *, norm: Norm, eps: float) -> tuple[Tensor, Note]:
    """Repeat an attack on some probes under watch: its result, and the note."""
    watched = rewrapped(Watched, probes.classifier)
    watched.note = Note(probes, norm, eps)
    found = attack(watched, probes.images, probes.labels, indices=probes.indices)
    return found.detach(), watched.note
