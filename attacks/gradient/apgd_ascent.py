"""The gradient ascent of APGD for all its losses, norms and targets, over a queue of samples."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.clock import Clock
from attacks.gradient.apgd_pace import Halving, Pace, Seen, Sparsity
from attacks.gradient.ascent import answer, look
from attacks.kept import Kept
from attacks.norms import Norm, finite, per_sample
from attacks.queue import drive
from attacks.samples import Samples


@dataclass(frozen=True)
class Round:
    """One run (a restart or a target) over all samples that no earlier run has fooled."""

    objective: Callable[[Samples, Tensor], Tensor]
    """Samples and their (N, classes) logits to the (N,) values to raise."""
    zero: float
    """The value of `objective` at which the authors' loss is 0; see `Halving`."""
    stream: int
    """The stream of its random start."""


@dataclass(frozen=True)
class Engine:
    """APGD's ascent with the options that all rounds share."""

    classifier: Classifier
    norm: Norm
    steps: int
    eot: int
    seed: int
    batch_size: int | None
    compact: bool

    def run(self, samples: Samples, rounds: Iterable[Round], kept: Kept) -> Tensor:
        """Run the rounds one after the other, each on the samples not fooled so far, and return the kept images."""
        with self.classifier.frozen():
            for attempt in rounds:
                left = samples.select(kept.open(samples))
                if len(left) == 0:
                    break
                start = partial(self._start, stream=attempt.stream)
                *wide, (_, last) = phases(self.norm, self.steps)
                for factor, steps in wide:
                    larger = replace(left, eps=factor * left.eps)
                    tops = self._climb(larger, attempt, start, kept, steps=steps, counts=False)
                    start = partial(self._onwards, tops)
                self._climb(left, attempt, start, kept, steps=last, counts=True)
        return kept.images

    def _start(self, samples: Samples, *, stream: int) -> Tensor:
        """Start at noise scaled to norm eps (l1: unscaled), projected onto ball and [0, 1]."""
        images, linf = samples.images, self.norm.name == "linf"
        draw = random.uniform if linf else random.normal
        noise = draw(self.seed, samples.indices, images.shape[1:], stream=stream, dtype=images.dtype) - 0.5 * linf
        if self.norm.name != "l1":
            noise = per_sample(samples.eps / self.norm.size(noise), images) * noise
        return self.norm.project(images + noise, images, samples.eps)

    def _onwards(self, tops: Tensor, samples: Samples) -> Tensor:
        """Start at the best iterate of the phase before, projected onto the smaller ball."""
        return self.norm.project(tops[samples.rows], samples.images, samples.eps)

    def _climb(
        self,
        samples: Samples,
        attempt: Round,
        start: Callable[[Samples], Tensor],
        kept: Kept,
        *,
        steps: int,
        counts: bool,
    ) -> Tensor:
        """Ascend for `steps`, and return the best iterate (N, C, H, W) of each sample.

        With `counts` (the phase whose ball is eps) iterates go to `kept` instead, and a sample leaves in the pass that
        finds it fooled; the returned tensor is then not filled.
        """
        clock = Clock(steps)
        tops = torch.empty_like(kept.images)
        for ended in drive(
            samples,
            begin=partial(self._begin, start=start, zero=attempt.zero, clock=clock),
            advance=partial(self._advance, objective=attempt.objective, counts=counts, clock=clock),
            batch_size=self.batch_size,
            compact=self.compact,
        ):
            if counts:
                found = _where(ended.fooled, ended.looked, ended.best)
                kept.take(ended.samples, found, ended.fooled, ended.best_values)
                standing = kept.open(ended.samples)
                if len(standing) > 0:
                    part, current = ended.samples.select(standing), ended.current[standing]
                    answer(self.classifier, part, current, attempt.objective, kept, passes=self.eot)
            else:
                tops[ended.samples.rows] = self._highest(ended, attempt)
        return tops

    def _begin(self, samples: Samples, *, start: Callable[[Samples], Tensor], zero: float, clock: Clock) -> "Ascent":
        current = start(samples)
        nobody = torch.zeros_like(samples.rows, dtype=torch.bool)
        return Ascent(
            samples=samples,
            looked=current,
            current=current,
            best=current,
            best_gradient=torch.zeros_like(current),
            best_values=torch.full_like(samples.eps, -torch.inf),
            pace=self._pace(samples, current, zero=zero, steps=clock.steps),
            born=clock.join(samples),
            fooled=nobody,
            done=nobody,
        )

    def _pace(self, samples: Samples, start: Tensor, *, zero: float, steps: int) -> Pace:
        if self.norm.name == "l1":
            return Sparsity.of(self.norm, samples, start, steps=steps)
        return Halving.of(self.norm, samples, start, zero=zero, steps=steps)

    def _advance(
        self, state: "Ascent", *, objective: Callable[[Samples, Tensor], Tensor], counts: bool, clock: Clock
    ) -> "Ascent":
        # Look: the one forward and backward pass of the step.
        samples, current, ages = state.samples, state.current, clock.ages(state.born)
        found = look(self.classifier, samples, current, objective, passes=self.eot)
        gradient = finite(found.gradient)
        fooled = samples.fooled(found.logits) if counts else state.fooled
        if not self.compact:
            fooled = fooled | state.fooled

        # Keep the best.
        better = found.values > state.best_values
        best, best_gradient = _where(better, current, state.best), _where(better, gradient, state.best_gradient)
        best_values = torch.where(better, found.values, state.best_values)

        # Step: from here or, where the pace says so, from the best; who is fooled stays.
        pace, back = state.pace.checked(Seen(ages, found.values, best_values, best), samples)
        here, slope = current, gradient
        if back is not None:
            here, slope = _where(back, best, current), _where(back, best_gradient, gradient)
        pace, following = pace.moved(here, slope, ages, samples)
        clock.tick()
        return Ascent(
            samples=samples,
            looked=current,
            current=following if self.compact else _where(fooled, current, following),
            best=best,
            best_gradient=best_gradient,
            best_values=best_values,
            pace=pace,
            born=state.born,
            fooled=fooled,
            done=fooled | ages.are(clock.steps - 1) if clock.steps - 1 in ages.present else fooled,
        )

    def _highest(self, ended: "Ascent", attempt: Round) -> Tensor:
        """The best of all iterates, the last of which has yet to be evaluated."""
        passes = [self.classifier.logits(ended.current, rows=ended.samples.rows) for _ in range(self.eot)]
        values = attempt.objective(ended.samples, torch.stack(passes).mean(dim=0))
        return _where(values > ended.best_values, ended.current, ended.best)


@dataclass(frozen=True)
class Ascent:
    """The state of the ascent; one row a sample."""

    samples: Samples
    looked: Tensor
    """(N, C, H, W): the iterate that was evaluated last."""
    current: Tensor
    """(N, C, H, W): the iterate to evaluate next."""
    best: Tensor
    """(N, C, H, W): the iterate of the highest value."""
    best_gradient: Tensor
    best_values: Tensor
    pace: Pace
    born: Tensor
    fooled: Tensor
    """(N,) bool: whether the iterate `looked` fools."""
    done: Tensor


def phases(norm: Norm, steps: int) -> list[tuple[int, int]]:
    """The budgets, as multiples of eps, and the steps with each: in l1 two phases with more than eps come first.

    They have 30 % of the steps each, rounded up, but leave one for eps itself.
    """
    wide = min(-(-3 * steps // 10), (steps - 1) // 2) if norm.name == "l1" else 0
    return [(3, wide), (2, wide), (1, steps - 2 * wide)] if wide > 0 else [(1, steps)]


def _where(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(rows[:, None, None, None], one, other)
