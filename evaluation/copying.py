"""Whether generated images are copies of training ones, from distances between features."""

import torch
from torch import Tensor

from evaluation.features import as_double

NEAR = 0.01
"""Share of held-out images that are nearest to the training images: as near as chance brings them."""
_CHUNK = 512


def nearest_distances(features: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of each row of (N, D) to the nearest row of (M, D): (N,) float64."""
    rows, columns = as_double(features), as_double(others)
    centre = columns.mean(dim=0)
    return torch.cat([torch.cdist(part - centre, columns - centre).amin(dim=1) for part in rows.split(_CHUNK)])


def copied_share(fake: Tensor, held_out: Tensor) -> float:
    """Share of fakes that are nearer to a training image than nearly all held-out ones are.

    Both are distances to the nearest training image, (N,) and (M,). The bound is where a hundredth of the held-out
    images lie below, so a generator that draws new images gives about 0.01, and one that copies gives 1.
    """
    return float((fake < torch.quantile(held_out, NEAR)).double().mean())
