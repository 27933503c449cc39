"""APGD's step size rule, and when it goes back to the best iterate: by halving in linf and l2, by sparsity in l1.

A pace is a set of counters with one row a sample. `checked` takes the values of the last evaluation and tells which
samples go back; `moved` makes the next iterate. The constants are those of the authors' code (Croce & Hein, 2020; for
l1 Croce & Hein, 2021).
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from attacks.clock import Ages
from attacks.norms import Box, Norm, per_sample, rows
from attacks.samples import Samples

_RISING = 0.75
"""Share of the steps between two checks that must raise the loss, or the step is halved."""
_INERTIA = 0.25
"""Weight of the previous move in the next one (the paper's 1 - alpha)."""
_SPARSER = 1.5
"""Factor by which l1 moves fewer pixels than the best iterate did, and shortens its steps."""


class Seen(NamedTuple):
    """The results of evaluating the current iterates; one row a sample."""

    ages: Ages
    """The steps taken before this evaluation: 0 at the start."""
    values: Tensor
    """(N,): the objective at the current iterates."""
    best_values: Tensor
    """(N,): its largest value so far."""
    best: Tensor
    """(N, C, H, W): the iterates of the largest value."""


class Pace(Protocol):
    """The rule by which an ascent steps."""

    def checked(self, seen: Seen, samples: Samples) -> tuple[Self, Tensor | None]:
        """Count an evaluation, and mark (N,) the samples that go back to the best iterate; None: no check was due."""
        ...

    def moved(self, current: Tensor, gradient: Tensor, ages: Ages, samples: Samples) -> tuple[Self, Tensor]:
        """Make the next iterate, in the ball and in [0, 1]."""
        ...


@dataclass(frozen=True)
class Halving:
    """Steps of 2 eps with inertia, halved where the loss rises too seldom or not at all (linf, l2).

    Checks come ever closer together: first after 22 % of the steps, then each 3 % sooner, down to 6 %.
    """

    norm: Norm
    steps: int
    zero: float
    """The value that stands for the authors' loss 0: they count the first step as a rise where the loss exceeds 0."""
    box: Box | None
    lengths: Tensor
    previous: Tensor
    rises: Tensor
    """(N,): how often since the last check the value was higher than one step before."""
    last: Tensor
    """(N,): the value one step before."""
    halved: Tensor
    """(N,) bool: whether the last check halved the step."""
    checked_best: Tensor
    """(N,): the best value at the last check."""

    @classmethod
    def of(cls, norm: Norm, samples: Samples, start: Tensor, *, steps: int, zero: float) -> "Halving":
        none = torch.zeros_like(samples.rows)
        return cls(
            norm=norm,
            steps=steps,
            zero=zero,
            box=Box.of(norm, samples.images, samples.eps),
            lengths=2 * samples.eps,
            previous=start,
            rises=none,
            last=torch.full_like(samples.eps, torch.inf),
            halved=none == 0,
            checked_best=torch.full_like(samples.eps, -torch.inf),
        )

    def checked(self, seen: Seen, samples: Samples) -> tuple["Halving", Tensor | None]:
        start, checks = 0 in seen.ages.present, _checks(self.steps)
        rises = self.rises + (seen.values > self.last)
        last = torch.where(seen.ages.are(0), self.zero, seen.values) if start else seen.values
        pace, everybody = replace(self, rises=rises, last=last), None
        for age in sorted(seen.ages.present & checks.keys()):
            pace, back = pace._check(seen, seen.ages.are(age), looks=checks[age])
            everybody = back if everybody is None else everybody | back
        return pace, everybody

    def _check(self, seen: Seen, due: Tensor, *, looks: int) -> tuple["Halving", Tensor]:
        """Check the samples that are `due` (N,), `looks` steps after their last check."""
        stuck = ~self.halved & (self.checked_best >= seen.best_values)
        back = due & ((self.rises <= _RISING * looks) | stuck)
        pace = replace(
            self,
            lengths=torch.where(back, self.lengths / 2, self.lengths),
            rises=torch.where(due, 0, self.rises),
            halved=torch.where(due, back, self.halved),
            checked_best=torch.where(due, seen.best_values, self.checked_best),
        )
        return pace, back

    def moved(self, current: Tensor, gradient: Tensor, ages: Ages, samples: Samples) -> tuple["Halving", Tensor]:
        move = self._climbed(current, gradient, samples) - current
        if 0 not in ages.present:
            move.mul_(1 - _INERTIA).add_(current - self.previous, alpha=_INERTIA)
        elif not ages.only(0):
            inertia = per_sample(torch.where(ages.are(0), 0, _INERTIA), current)
            move = (1 - inertia) * move + inertia * (current - self.previous)
        following = current + move
        if self.box is None:
            following = self.norm.project(following, samples.images, samples.eps)
        else:
            following.clamp_(self.box.low, self.box.high)
        return replace(self, previous=current), following

    def _climbed(self, current: Tensor, gradient: Tensor, samples: Samples) -> Tensor:
        if self.box is not None:
            return self.box.step(gradient, current, per_sample(self.lengths, current))
        move = self.norm.steepest(gradient, current, self.lengths)
        return self.norm.project(current + move, samples.images, samples.eps)


@cache
def _checks(steps: int) -> dict[int, int]:
    """The steps at which an ascent of `steps` is checked, each with the number of steps since the last check."""
    looks, age = max(22 * steps // 100, 1), 0
    checks = {}
    while age + looks < steps:
        age += looks
        checks[age] = looks
        looks = max(looks - max(3 * steps // 100, 1), max(6 * steps // 100, 1))
    return checks


@dataclass(frozen=True)
class Sparsity:
    """Steps of l1 length `lengths` spread evenly over the k pixels of the largest |gradient| (l1).

    Every 4 % of the steps k becomes the number of pixels that the best iterate has changed, over 1.5. Where that number
    fell by more than 5 % the step is eps again, from the best iterate; else it shrinks by 1.5, down to eps / 10.
    """

    norm: Norm
    steps: int
    lengths: Tensor
    counted: Tensor
    """(N,): how many pixels the best iterate had changed at the last check."""

    @classmethod
    def of(cls, norm: Norm, samples: Samples, start: Tensor, *, steps: int) -> "Sparsity":
        return cls(norm, steps, samples.eps, _count(start, samples))

    def checked(self, seen: Seen, samples: Samples) -> tuple["Sparsity", Tensor | None]:
        every = max(4 * self.steps // 100, 1)
        ages = [age for age in sorted(seen.ages.present) if age > 0 and age % every == 0]
        if not ages:
            return self, None
        due = torch.stack([seen.ages.are(age) for age in ages]).any(dim=0)
        count = _count(seen.best, samples)
        sparser = due & (count / self.counted < 0.95)
        shorter = (self.lengths / _SPARSER).maximum(samples.eps / 10)
        pace = replace(
            self,
            lengths=torch.where(sparser, samples.eps, torch.where(due, shorter, self.lengths)),
            counted=torch.where(due, count, self.counted),
        )
        return pace, sparser

    def moved(self, current: Tensor, gradient: Tensor, ages: Ages, samples: Samples) -> tuple["Sparsity", Tensor]:
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
