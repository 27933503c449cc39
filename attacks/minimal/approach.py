"""Shared by DeepFool, SparseFool and FAB: a first classification, a record over several runs, a final line search."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.nearest import Nearest, Searching, margins, rounding
from attacks.norms import Norm
from attacks.queue import drive
from attacks.samples import Samples

_BEYOND = 0.01  # share of the remaining interval by which a guess overshoots: on the boundary rounding would decide

Path = Callable[[Samples, Tensor], Tensor]
"""(samples, shares (N,)) -> (N, C, H, W) points on each sample's path, from its image at 0 to a fooling one at 1."""


@dataclass
class Record:
    """The nearest fooling image of every sample so far; each run of an attack starts from it and updates it."""

    samples: Samples
    logits: Tensor
    """(N, classes) of the clean images."""
    nearest: Nearest

    @classmethod
    def look(cls, classifier: Classifier, samples: Samples, *, batch_size: int | None) -> "Record":
        """Classify the clean images with one forward pass each; those that are misclassified need no attack."""
        parts = [classifier.logits(part.images, rows=part.rows) for part in samples.split(batch_size)]
        logits = torch.cat(parts) if parts else samples.eps.new_zeros(0, 2)  # the fewest classes that there are
        nearest = Nearest.of(samples).offered(
            samples,
            samples.images,
            fooled=samples.fooled(logits),
            sizes=torch.zeros_like(samples.eps),
            values=margins(samples, logits),
            closed=torch.zeros_like(samples.rows, dtype=torch.bool),
        )
        return cls(samples, logits, nearest)

    @property
    def done(self) -> Tensor:
        return self.nearest.settled

    def open(self) -> Samples:
        """The samples that are not settled (`Nearest.settled`). Waits for the device, to learn their number."""
        return self.samples.select((~self.nearest.settled).nonzero().squeeze(1))

    def of(self, samples: Samples) -> Nearest:
        """The rows of `nearest` of some samples."""
        return Nearest(**{field.name: getattr(self.nearest, field.name)[samples.rows] for field in fields(Nearest)})

    def off(self, samples: Samples) -> Tensor:
        """Bounds (N,) on the rounding error of the margins of some samples (see `rounding`)."""
        return rounding(samples, self.logits[samples.rows])

    def add(self, states: Iterable[Searching]) -> None:
        """Take over the results of states that leave a run."""
        for state in states:
            for field in fields(Nearest):
                getattr(self.nearest, field.name)[state.samples.rows] = getattr(state.nearest, field.name)


def approach(
    classifier: Classifier,
    record: Record,
    norm: Norm,
    path: Path,
    *,
    steps: int,
    batch_size: int | None,
    compact: bool,
) -> None:
    """Search along `path` for nearer fooling images than those found (regula falsi), where none lies within eps.

    Each step costs a forward pass, at the point where the straight line between the margins at both ends of the
    remaining interval crosses 0, and a little beyond. On a linear network the first step finds the boundary; bisection
    would need seven. A margin within rounding error does not count as success.
    """
    if steps == 0:
        return
    nearest = replace(record.nearest, images=record.nearest.images.clone(), sizes=record.nearest.sizes.clone())
    wanted = (nearest.sizes.isfinite() & ~nearest.settled).nonzero().squeeze(1)
    record.add(
        drive(
            record.samples.select(wanted),
            begin=partial(_Bracket.of, record),
            advance=partial(_narrow, classifier, norm, path, steps),
            batch_size=batch_size,
            compact=compact,
        )
    )
    lost = nearest.sizes.isfinite() & record.nearest.sizes.isinf()
    record.nearest = replace(
        record.nearest,
        images=torch.where(lost[:, None, None, None], nearest.images, record.nearest.images),
        sizes=torch.where(lost, nearest.sizes, record.nearest.sizes),
    )


@dataclass(frozen=True)
class _Bracket:
    """The remaining interval of the path: from a share `low` that does not fool to a share `high` that does."""

    samples: Samples
    nearest: Nearest
    low: Tensor
    below: Tensor
    """(N,) margins at `low`, beyond rounding."""
    high: Tensor
    above: Tensor
    """(N,) margins at `high`, beyond rounding."""
    step: Tensor
    done: Tensor
    off: Tensor
    """(N,): bounds on the rounding error of a margin."""

    @classmethod
    def of(cls, record: Record, samples: Samples) -> "_Bracket":
        nearest, ends, off = record.of(samples), torch.zeros_like(samples.eps), record.off(samples)
        below, above = margins(samples, record.logits[samples.rows]) - off, nearest.values - off
        step = torch.zeros_like(samples.rows)
        # Where the margin at the end is within rounding error, extrapolate beyond it along the mean slope.
        short = above <= 0
        farther = 4 * off / below.abs().maximum(off)
        nearest = replace(nearest, sizes=torch.where(short, torch.inf, nearest.sizes))
        return cls(
            samples=samples,
            nearest=nearest,
            low=torch.where(short, ends + 1, ends),
            below=torch.where(short, above, below),
            high=torch.where(short, 1 + farther, ends + 1),
            above=torch.where(short, 2 * off, above),
            step=step,
            done=step > 0,
            off=off,
        )


def _narrow(classifier: Classifier, norm: Norm, path: Path, steps: int, state: _Bracket) -> _Bracket:
    samples, width = state.samples, state.high - state.low
    crossing = (state.below / (state.below - state.above)).nan_to_num(nan=0.5).clamp(0, 1)
    share = state.low + width * (crossing + _BEYOND * (1 - crossing))
    candidate = path(samples, share)
    logits = classifier.logits(candidate, rows=samples.rows)
    values = margins(samples, logits) - state.off
    fooled = samples.fooled(logits) & (values > 0)
    nearest = state.nearest.offered(
        samples,
        candidate,
        fooled=fooled,
        sizes=norm.size(candidate - samples.images),
        values=values + state.off,
        closed=state.done,
    )
    return replace(
        state,
        nearest=nearest,
        low=torch.where(fooled, state.low, share),
        below=torch.where(fooled, state.below, values),
        high=torch.where(fooled, share, state.high),
        above=torch.where(fooled, values, state.above),
        step=state.step + 1,
        done=nearest.settled | (state.step + 1 >= steps),
    )
