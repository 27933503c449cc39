"""The distance by which a training is followed, and its best checkpoint chosen."""

import torch
from torch import Tensor

from advgan.data import Data
from evaluation.features.features import Features
from evaluation.fidelity.frechet import frechet_distance
from evaluation.modes.points import mode_counts
from evaluation.seeing.reference import Reference
from evaluation.statistics.histograms import variation

FRECHET = "Fréchet distance"
MISPLACED = "share of points that are of another mode than they should be, or of none"


def followed_distance(reference: Reference, fake: Features) -> float:
    """What `followed_name` says, of generated images as the reference's extractor saw them; 0 for the data themselves.

    The Fréchet distance of points sees no more than the mean and the covariance of their coordinates, which points that
    fill the square evenly have too. So of points with several modes it is the total variation between the real and the
    generated histogram of modes, in which points near none are one more.
    """
    if followed_name(reference.data) == FRECHET:
        return frechet_distance(reference.real.values, fake.values)
    return float(variation(_counts(reference.real), _counts(fake)))


def followed_name(data: Data) -> str:
    """What the distance is, in words."""
    return MISPLACED if data.train.are_points and data.num_classes > 1 else FRECHET


def _counts(seen: Features) -> Tensor:
    """Points of each mode, and last those near none: (K + 1,)."""
    counts = mode_counts(seen)
    return torch.cat([counts, len(seen) - counts.sum(dim=0, keepdim=True)])
