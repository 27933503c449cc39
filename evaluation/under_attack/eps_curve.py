"""Accuracy against the budget: the curve of a sweep, with its intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.statistics.intervals import rate
from evaluation.under_attack.outcomes import Outcome


@dataclass(frozen=True)
class EpsCurve:
    """Points in order of eps; the first is eps 0, the clean accuracy. Intervals are Wilson's."""

    eps: tuple[float, ...]
    robust_accuracy: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    samples: int
    smallest_eps: Tensor
    """(N,) smallest budget of the sweep that broke each image: 0 if it was wrong before, infinity if none did."""


def eps_curve(outcomes: Mapping[float, Outcome]) -> EpsCurve:
    """Draw the curve from the outcomes of `sweep`: budgets to what each did to the same images."""
    budgets = sorted(outcomes)
    if not budgets:
        raise ValueError("a curve needs the outcome of at least one budget")
    clean = outcomes[budgets[0]].clean
    smallest = torch.where(clean.correct, torch.inf, 0.0)
    points = [(0.0, rate(clean.correct))]
    for eps in budgets:
        robust = outcomes[eps].robust
        smallest = torch.where(~robust & smallest.isinf(), eps, smallest)
        if eps > 0:
            points.append((eps, rate(robust)))
    return EpsCurve(
        eps=tuple(eps for eps, _ in points),
        robust_accuracy=tuple(estimate.value for _, estimate in points),
        low=tuple(estimate.low for _, estimate in points),
        high=tuple(estimate.high for _, estimate in points),
        samples=len(clean.labels),
        smallest_eps=smallest,
    )
