"""Record of the adversarial images that the trust panel finds, so that they count in the robust accuracy."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attacks import Norm
from evaluation.under_attack.probes import Probes

Way = Callable[..., Tensor]
"""An attack that lacks only `eps`."""


@dataclass(frozen=True)
class Entry:
    """One attempt of the panel, within a norm and a budget."""

    norm: Norm
    eps: float
    asked: Tensor
    """(n,) the images' numbers among all."""
    images: Tensor
    """(n, C, H, W): what was tried."""
    broken: Tensor
    """(n,) bool: within ball and bounds, and no longer classified correctly. All on the CPU."""


@dataclass
class Ledger:
    """The attempts of a panel, and the attacks that broke images which the evaluation's own had left."""

    entries: list[Entry] = field(default_factory=list)
    ways: list[tuple[int, Way]] = field(default_factory=list)
    """How many images each alarming attack broke, and the attack."""

    def take(self, probes: Probes, images: Tensor, *, norm: Norm, eps: float) -> Tensor:
        """Record attacked images (n, C, H, W) of some probes; (n,) bool on the CPU: which broke. Costs one pass."""
        broken = probes.broken_by(images) & probes.within(images, norm, eps).cpu()
        self.entries.append(Entry(norm, eps, probes.indices.cpu(), images.detach().cpu(), broken))
        return broken

    def alarm(self, count: int, way: Way) -> None:
        """Note that an attack broke so many images which those of the evaluation had left."""
        self.ways.append((count, way))

    def broken(self, total: int, *, norm: Norm, eps: float) -> Tensor:
        """(total,) bool: which of all images an attempt at this norm and at most this budget broke."""
        flags = torch.zeros(total, dtype=torch.bool)
        for entry in self.entries:
            if entry.norm.name == norm.name and entry.eps <= eps:
                flags[entry.asked[entry.broken]] = True
        return flags

    @property
    def best_way(self) -> Way | None:
        """The attack that broke most; None where no alarm was raised."""
        return max(self.ways, key=lambda each: each[0])[1] if self.ways else None
