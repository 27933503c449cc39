"""Gradient estimates from score queries, by finite differences along random directions, and the ascent along them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.black_box.first_look import first_look
from attacks.classifier import Classifier
from attacks.norms import per_sample
from attacks.queue import drive
from attacks.samples import Samples


@dataclass(frozen=True)
class Climb:
    """The state of the ascent; one row a sample."""

    samples: Samples
    at: Tensor
    """(N, C, H, W): the iterate."""
    memory: Tensor
    """(N, ...): what a rule keeps from step to step (a momentum, a prior); 0 at first."""
    step: Tensor
    """(N,) steps taken."""
    done: Tensor


Rule = Callable[[Climb], tuple[Tensor, Tensor]]
"""One step of an attack: from a state to the next iterate, in ball and [0, 1], and the next memory."""


class Plan(NamedTuple):
    """How queries are spent: one on the clean image, then in each step two for each pair and one on the result."""

    steps: int
    pairs: int

    @classmethod
    def of(cls, queries: int, pairs: int) -> "Plan":
        """As many whole steps as there are queries for; where not even one is, one step of fewer pairs."""
        if queries < 1 or pairs < 1:
            raise ValueError(f"queries and pairs must be 1 or more; got queries={queries}, pairs={pairs}")
        pairs = min(pairs, (queries - 2) // 2)
        return cls((queries - 1) // (2 * pairs + 1), pairs) if pairs > 0 else cls(0, 0)

    def step_size(self, eps: Tensor) -> Tensor:
        """A tenth of eps, or more where the steps are so few that they would not reach across the ball."""
        return eps * max(0.1, 2.5 / max(self.steps, 3))


def slope(classifier: Classifier, samples: Samples, at: Tensor, direction: Tensor, *, radius: float) -> Tensor:
    """Estimate each sample's gradient from two antithetic queries along directions (N, C, H, W): (N, C, H, W).

    The entries of a direction must be independent and symmetric about 0, of variance 1. The estimate is then unbiased
    where the objective is linear between the two images, also at the bounds: queries are clipped to [0, 1], and each
    pixel is weighted by the difference that clipping has left.
    """
    above, below = (at + radius * direction).clamp(0, 1), (at - radius * direction).clamp(0, 1)
    change = _value(classifier, samples, above) - _value(classifier, samples, below)
    way = above - below
    weight = torch.where(way == 0, 0, direction.square() / torch.where(way == 0, 1, way))
    change = torch.nan_to_num(change, nan=0.0, posinf=0.0, neginf=0.0)
    return per_sample(change, at) * weight


def mean_slope(
    classifier: Classifier,
    climb: Climb,
    *,
    draw: Callable[[Tensor, Tensor], Tensor],
    plan: Plan,
    radius: float,
) -> Tensor:
    """Average `slope` over the pairs of a step, each along a direction that `draw` makes from (indices, stream)."""
    total = torch.zeros_like(climb.at)
    for pair in range(plan.pairs):
        direction = draw(climb.samples.indices, climb.step * plan.pairs + pair)
        total = total + slope(classifier, climb.samples, climb.at, direction, radius=radius)
    return total / plan.pairs


def ascend(
    classifier: Classifier,
    samples: Samples,
    rule: Rule,
    *,
    steps: int,
    memory: tuple[int, ...],
    batch_size: int | None,
    compact: bool,
) -> Tensor:
    """Take at most `steps` steps by `rule`, with a query after each, until the sample is fooled: (N, C, H, W).

    `memory` is the shape of the rule's memory for one sample.
    """

    def begin(fresh: Samples) -> Climb:
        none = torch.zeros_like(fresh.labels)
        return Climb(fresh, fresh.images, fresh.images.new_zeros(len(fresh), *memory), none, none > 0)

    def advance(climb: Climb) -> Climb:
        at, carried = rule(climb)
        at = torch.where(climb.done[:, None, None, None], climb.at, at)
        fooled = climb.samples.fooled(classifier.logits(at, rows=climb.samples.rows))
        step = climb.step + 1
        return replace(climb, at=at, memory=carried, step=step, done=climb.done | fooled | (step >= steps))

    result = samples.images.clone()
    with classifier.frozen():
        left = first_look(classifier, samples, batch_size=batch_size)
        if steps > 0:
            for ended in drive(left, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
                result[ended.samples.rows] = ended.at
    return result


def _value(classifier: Classifier, samples: Samples, images: Tensor) -> Tensor:
    return samples.score(classifier.logits(images, rows=samples.rows))
