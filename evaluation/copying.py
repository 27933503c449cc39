"""Whether generated images are copies of training ones, from distances between features."""

import torch
from torch import Tensor

from evaluation.neighbours import nearest

NEAR = 0.01
"""Share of held-out images that are nearest to the training images: as near as chance brings them."""


def nearest_distances(features: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of each row of (N, D) to the nearest row of (M, D): (N,) float64."""
    return nearest(features, others, 1)[0].squeeze(1)


def copied_share(fake: Tensor, held_out: Tensor) -> float:
    """Share of fakes that are nearer to a training image than nearly all held-out ones are.

    Both are distances to the nearest training image, (N,) and (M,). The bound is where a hundredth of the held-out
    images lie below, so a generator that draws new images gives about 0.01, and one that copies gives 1.
    """
    return float((fake < torch.quantile(held_out, NEAR)).double().mean())
