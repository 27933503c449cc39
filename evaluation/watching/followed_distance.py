"""The distance that is logged during a GAN's training and selects its best checkpoint."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from advgan.data import Data
from evaluation.features.absent import DEGENERATE, reason
from evaluation.features.features import Features
from evaluation.fidelity.frechet import frechet_distance
from evaluation.modes.points import mode_counts
from evaluation.record.findings import Finding
from evaluation.seeing.reference import Reference
from evaluation.statistics.histograms import variation

FRECHET = "Fréchet distance"
MISPLACED = "share of points that are of another mode than they should be, or of none"


def followed_distance(reference: Reference, fake: Features) -> float:
    """The distance named by `followed_name` between generated features and the reference's; 0 for equal distributions.

    The Fréchet distance of points sees no more than the mean and the covariance of their coordinates, which points that
    fill the square evenly have too. So of points with several modes it is the total variation between the real and the
    generated histogram of modes, in which points near none are one more.
    """
    if followed_name(reference.data) == FRECHET:
        return frechet_distance(reference.real.values, fake.values)
    return float(variation(_counts(reference.real), _counts(fake)))


def looked_at(reference: Reference, fake: Features) -> dict[str, Any]:
    """The distance for the row of a look; infinite, with the reason beside it, where these images have none.

    Beside it stands the distance to held-out images, where there are any. No choice is made by that one, neither of
    the best checkpoint nor of an early stop, so that it says of the chosen checkpoint what it says of any.
    """
    try:
        return {"distance": followed_distance(reference, fake), **_unseen(reference, fake)}
    except DEGENERATE as error:
        return {"distance": math.inf, "not_made": {"distance": reason(error)}}


def _unseen(reference: Reference, fake: Features) -> dict[str, float]:
    held_out = reference.held_out
    if followed_name(reference.data) != FRECHET or held_out is None or len(held_out) < 2:
        return {}
    return {"held_out_distance": frechet_distance(held_out.features.values, fake.values)}


def unmade_findings(looks: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Findings on values that could not be computed during a training, with the first reason and the steps."""
    steps: dict[str, list[int]] = {}
    reasons: dict[str, str] = {}
    for row in looks:
        for name, words in row.get("not_made", {}).items():
            steps.setdefault(name, []).append(row["step"])
            reasons.setdefault(name, words)
    return [
        Finding(
            "warning",
            "Looks at the training lack something",
            f"{name}, at {len(missing)} look(s) from step {missing[0]:,} to {missing[-1]:,}: {reasons[name]}",
            "Training went on without it. A look without a distance cannot be the best one.",
            code="look-not-made",
        )
        for name, missing in steps.items()
    ]


def followed_name(data: Data) -> str:
    """What the distance is, in words."""
    return MISPLACED if data.train.are_points and data.num_classes > 1 else FRECHET


def _counts(seen: Features) -> Tensor:
    """Points of each mode, and last those near none: (K + 1,)."""
    counts = mode_counts(seen)
    return torch.cat([counts, len(seen) - counts.sum(dim=0, keepdim=True)])
