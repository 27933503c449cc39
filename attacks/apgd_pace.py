"""How far APGD steps, and when it goes back to the best iterate: by halving in linf and l2, by sparsity in l1.

A pace is a row of counters a sample. `checked` takes what the last look told and says who goes back; `moved` makes the
next iterate. The numbers are those of the authors' code (Croce & Hein, 2020; for l1 Croce & Hein, 2021).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from attacks.norms import Norm, per_sample, rows
from attacks.samples import Samples

_RISING = 0.75
"""Share of the steps between two checks that must raise the loss, or the step is halved."""
_INERTIA = 0.25
"""Share of the last move that is made again."""
_SPARSER = 1.5
"""Factor by which l1 moves fewer pixels than the best iterate did, and shortens its steps."""


class Seen(NamedTuple):
    """What is known after a look at the current iterates; one row a sample."""

    first: Tensor
    """(N,) bool: whether this was the start."""
    values: Tensor
    """(N,)."""
    best_values: Tensor
    """(N,): the largest so far."""
    best: Tensor
    """(N, C, H, W): where it was."""


class Pace(Protocol):
    """The rule by which an ascent steps."""

    def checked(self, seen: Seen, samples: Samples) -> tuple[Self, Tensor]:
        """Count a look, and say (N,) who goes back to the best iterate."""
        ...

    def moved(self, current: Tensor, gradient: Tensor, first: Tensor, samples: Samples) -> tuple[Self, Tensor]:
        """Make the next iterate, in the ball and in [0, 1]; `first` is (N,), whether this is the first step."""
        ...


@dataclass(frozen=True)
class Halving:
    """Steps of 2 eps with inertia, halved where the loss rises too seldom or not at all (linf, l2).

    Checks come ever closer together: first after 22 % of the steps, then each 3 % sooner, down to 6 %.
    """

    norm: Norm
    steps: int
    zero: float
    """The loss 0, on the scale of the values: the authors count the first step as a rise where its loss exceeds 0."""
    lengths: Tensor
    previous: Tensor
    window: Tensor
    """(N,): how many looks lie between the last check and the next."""
    since: Tensor
    """(N,): how many of them have passed."""
    rises: Tensor
    """(N,): at how many of them the value was higher than at the look before."""
    last: Tensor
    """(N,): the value of the last look."""
    halved: Tensor
    """(N,) bool: whether the last check halved."""
    checked_best: Tensor
    """(N,): the best value at the last check."""

    @classmethod
    def of(cls, norm: Norm, samples: Samples, start: Tensor, *, steps: int, zero: float) -> "Halving":
        none = torch.zeros_like(samples.rows)
        return cls(
            norm=norm,
            steps=steps,
            zero=zero,
            lengths=2 * samples.eps,
            previous=start,
            window=none + max(22 * steps // 100, 1),
            since=none,
            rises=none,
            last=torch.full_like(samples.eps, torch.inf),
            halved=none == 0,
            checked_best=torch.full_like(samples.eps, -torch.inf),
        )

    def checked(self, seen: Seen, samples: Samples) -> tuple["Halving", Tensor]:
        since = torch.where(seen.first, 0, self.since + 1)
        rises = self.rises + (seen.values > self.last)
        due = since == self.window
        stuck = ~self.halved & (self.checked_best >= seen.best_values)
        back = due & ((rises <= _RISING * self.window) | stuck)
        sooner = (self.window - max(3 * self.steps // 100, 1)).clamp(min=max(6 * self.steps // 100, 1))
        pace = replace(
            self,
            lengths=torch.where(back, self.lengths / 2, self.lengths),
            window=torch.where(due, sooner, self.window),
            since=torch.where(due, 0, since),
            rises=torch.where(due, 0, rises),
            last=torch.where(seen.first, self.zero, seen.values),
            halved=torch.where(due, back, self.halved),
            checked_best=torch.where(due, seen.best_values, self.checked_best),
        )
        return pace, back

    def moved(self, current: Tensor, gradient: Tensor, first: Tensor, samples: Samples) -> tuple["Halving", Tensor]:
        norm, images, eps = self.norm, samples.images, samples.eps
        climbed = norm.project(current + norm.steepest(gradient, current, self.lengths), images, eps)
        inertia = per_sample(torch.where(first, 0, _INERTIA), images)
        move = (1 - inertia) * (climbed - current) + inertia * (current - self.previous)
        return replace(self, previous=current), norm.project(current + move, images, eps)


@dataclass(frozen=True)
class Sparsity:
    """Steps of equal size along the steepest pixels, as many as the best iterate suggests (l1).

    Every 4 % of the steps the number of pixels becomes that which the best iterate has moved, over 1.5. Where that
    number falls the step is eps again, from the best iterate; else it shrinks by 1.5, down to eps / 10.
    """

    norm: Norm
    steps: int
    lengths: Tensor
    counted: Tensor
    """(N,): how many pixels the best iterate had moved at the last check."""
    since: Tensor
    """(N,): how many looks have passed since."""

    @classmethod
    def of(cls, norm: Norm, samples: Samples, start: Tensor, *, steps: int) -> "Sparsity":
        return cls(norm, steps, samples.eps, _count(start, samples), torch.zeros_like(samples.rows))

    def checked(self, seen: Seen, samples: Samples) -> tuple["Sparsity", Tensor]:
        since = torch.where(seen.first, 0, self.since + 1)
        due = since == max(4 * self.steps // 100, 1)
        count = _count(seen.best, samples)
        sparser = due & (count / self.counted < 0.95)
        shorter = (self.lengths / _SPARSER).maximum(samples.eps / 10)
        pace = replace(
            self,
            lengths=torch.where(sparser, samples.eps, torch.where(due, shorter, self.lengths)),
            counted=torch.where(due, count, self.counted),
            since=torch.where(due, 0, since),
        )
        return pace, sparser

    def moved(self, current: Tensor, gradient: Tensor, first: Tensor, samples: Samples) -> tuple["Sparsity", Tensor]:
        slopes = rows(gradient)
        pixels = slopes.shape[1]
        rank = ((1 - self.counted / pixels / _SPARSER) * pixels).clamp(0, pixels - 1).long()
        least = slopes.abs().sort(dim=1).values.gather(1, rank[:, None])
        signs = torch.where(slopes.abs() >= least, slopes.sign(), 0)
        share = self.lengths[:, None] / signs.abs().sum(dim=1, keepdim=True).clamp(min=1)
        move = (share * signs).reshape(gradient.shape)
        return self, self.norm.project(current + move, samples.images, samples.eps)


def _count(images: Tensor, samples: Samples) -> Tensor:
    """How many pixels differ from those of the samples: (N,), in their dtype."""
    return rows(images != samples.images).sum(dim=1).to(images.dtype)
