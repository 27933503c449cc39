"""Copies of training images, found by distances between features relative to held-out images."""

from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features.neighbours import nearest, nearest_others

NEAR = 0.01
"""Quantile of the held-out images' distances to training images below which an image counts as a copy."""


def nearest_distances(features: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of each row of (N, D) to the nearest row of (M, D): (N,) float64."""
    return nearest(features, others, 1)[0].squeeze(1)


def copied(fake: Tensor, held_out: Tensor) -> Tensor:
    """Which fakes are nearer to a training image than nearly all held-out ones are: (M,) bool.

    Both are distances to the nearest training image, (M,) and (L,). The bound is where a hundredth of the held-out
    images lie below, so of a generator that draws new images about 0.01 are, and of one that copies all.
    """
    return fake < torch.quantile(held_out, NEAR)


def copied_share(fake: Tensor, held_out: Tensor) -> float:
    """Share of the fakes that are `copied`."""
    return float(copied(fake, held_out).double().mean())


class NearestTraining(NamedTuple):
    """The fakes most like a training image, the nearest first, for people to look at: (K,) each, on the CPU."""

    fakes: Tensor
    """Their numbers, int64."""
    neighbours: Tensor
    """The numbers of their nearest training images, int64."""
    ratios: Tensor
    """Distance over the median one of held-out images: 0 for an exact copy, 1 for what new images have."""


def nearest_training(fake: Tensor, real: Tensor, count: int, *, held_out: Tensor | None = None) -> NearestTraining:
    """Find the `count` fakes nearest to a training image: (M, D) and (N, D) features.

    Distances are relative to those of held-out images to training ones; without such images, to those of training
    images to each other.
    """
    distances, neighbours = (part.squeeze(1) for part in nearest(fake, real, 1))
    control = nearest_others(real, 1)[0].squeeze(1) if held_out is None else nearest_distances(held_out, real)
    first = distances.argsort(stable=True)[:count]
    return NearestTraining(first.cpu(), neighbours[first].cpu(), (distances[first] / control.median()).cpu())
