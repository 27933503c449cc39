"""The distance by which a training is followed, and its best checkpoint chosen."""

from torch import Tensor

from advgan.data import Data
from evaluation.features import Features
from evaluation.frechet import frechet_distance
from evaluation.reference import Reference

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
    real, generated = _shares(reference.real), _shares(fake)
    return float((real - generated).abs().sum()) / 2


def followed_name(data: Data) -> str:
    """What the distance is, in words."""
    return MISPLACED if data.train.are_points and data.num_classes > 1 else FRECHET


def _shares(seen: Features) -> Tensor:
    """Shares of the modes, and last of the points near none: (K + 1,)."""
    modes = seen.probabilities.shape[1]
    return seen.classes.where(seen.sure, modes).bincount(minlength=modes + 1).double().cpu() / len(seen)
