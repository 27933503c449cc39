"""Gradients from scores alone, by finite differences along random directions, and the loop that climbs them."""

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
    """Samples on their way up."""

    samples: Samples
    at: Tensor
    """(N, C, H, W)."""
    memory: Tensor
    """(N, ...) whatever a rule carries from step to step; 0 at first."""
    step: Tensor
    """(N,) steps taken."""
    done: Tensor


Rule = Callable[[Climb], tuple[Tensor, Tensor]]
"""One step: a climb to its next images, in ball and [0, 1], and its next memory."""


class Plan(NamedTuple):
    """How queries are spent: one at the image, then in each step two a pair and one at the result."""

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
    """Estimate each sample's gradient from two queries: (N, C, H, W) directions to (N, C, H, W).

    The directions must have independent entries of variance 1, symmetric about 0. The mean of the estimate then is the
    gradient, if the objective is linear between the two images; and that also at the bounds: only images in [0, 1] are
    sent, and a pixel whose way is cut there is given the weight of the way that is left.
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
    """The mean of `slope` over the pairs of a step, each along a direction drawn for (indices, stream)."""
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
    """Take steps until the sample is fooled or has taken them all, and look after each; (N, C, H, W) where they end.

    `memory` is the shape of what the rule carries, a sample.
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
