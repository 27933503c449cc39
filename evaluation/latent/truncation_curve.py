"""The truncation curve: precision against recall as latents are truncated (Brock et al., 2019)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

from advgan.models.interface import Generator
from advgan.sampling.drawing import sample
from evaluation.features.features import Extractor, Features, extract
from evaluation.neighbourhoods.precision_recall import precision_recall
from evaluation.statistics.intervals import Estimate

THRESHOLDS = (0.2, 0.5, 1.0, 2.0)
"""From hardly any variety to hardly any truncation: 4.6 % of normal values lie beyond 2."""


class TruncationPoint(NamedTuple):
    """Precision and recall of the same sample indices under one threshold; None: no truncation."""

    threshold: float | None
    precision: Estimate
    recall: Estimate


def truncation_curve(
    generator: Generator,
    real: Features,
    extractor: Extractor,
    *,
    num_samples: int,
    thresholds: Sequence[float] = THRESHOLDS,
    seed: int = 0,
) -> list[TruncationPoint]:
    """Score samples 0..num_samples-1 under each threshold, rising, and without one.

    Sample k comes from the same noise everywhere, so points differ by the threshold alone. Raises ValueError where the
    latents are not normal.
    """
    points = []
    for threshold in (*sorted(thresholds), None):
        fakes = sample(generator, num_samples, seed=seed, truncation=threshold, device=torch.device("cpu"))
        found = precision_recall(real.values, extract(extractor, fakes).values)
        points.append(TruncationPoint(threshold, found["precision"], found["recall"]))
    return points


def trades_monotonically(points: Sequence[TruncationPoint]) -> bool:
    """Whether, point after point, less truncation never raises precision and never lowers recall."""
    return all(
        after.precision.value <= before.precision.value and after.recall.value >= before.recall.value
        for before, after in pairwise(points)
    )
