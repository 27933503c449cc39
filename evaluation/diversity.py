"""How varied a batch of generated images is, from their features."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features import as_double


class Spread(NamedTuple):
    """Mean Euclidean distances between features of images: of all pairs, and of pairs of the same class.

    `within` (K,) has NaN for a class with fewer than two images.
    """

    overall: float
    within: Tensor


def spread(features: Tensor, classes: Tensor, *, num_classes: int) -> Spread:
    """Measure (N, D) features of images of the classes (N,); N squared distances."""
    rows, classes = as_double(features), classes.to(features.device)
    distances = torch.cdist(rows - rows.mean(dim=0), rows - rows.mean(dim=0))
    within = torch.full((num_classes,), math.nan, dtype=torch.float64)
    for number in classes.unique().tolist():
        same = (classes == number).nonzero().flatten()
        within[number] = _mean_off_diagonal(distances[same[:, None], same])
    return Spread(_mean_off_diagonal(distances), within)


def diversity(fake: Spread, real: Spread) -> float:
    """Mean distance of two fakes over that of two reals: 1 for a perfect generator, 0 for one that draws one image."""
    return fake.overall / real.overall


def class_diversity(fake: Spread, real: Spread) -> float | None:
    """The same for two images of one class, averaged over the classes that both sides have; None if there is none.

    It finds the conditional generator that draws one image a class, which `diversity` takes for varied.
    """
    ratios = fake.within / real.within
    known = ratios[ratios.isfinite()]
    return float(known.mean()) if len(known) else None


def batch_variance_ratio(features: Tensor) -> float:
    """Variance between batches over what independent samples would show: (B, n, D) features of B batches to a number.

    The F statistic of an analysis of variance, summed over the features: 1 where the images of a batch have nothing in
    common, larger where a batch looks alike, as batch norm in train mode makes it.
    """
    rows = as_double(features)
    between = rows.shape[1] * rows.mean(dim=1).var(dim=0).sum()
    return float(between / rows.var(dim=1).mean(dim=0).sum())


def latent_sensitivity(features: Tensor, latents: Tensor, *, apart: int = 1) -> float:
    """Mean of d(G(z1), G(z2)) / |z1 - z2| over pairs of samples that are `apart` in order; 0: latents are ignored.

    `features` (N, D) of the images, `latents` (N, L). Samples that are the number of classes apart have one label.
    """
    images, codes = as_double(features), as_double(latents).to(features.device)
    moved = (images[apart:] - images[:-apart]).norm(dim=1) / (codes[apart:] - codes[:-apart]).norm(dim=1)
    return float(moved.mean())


def _mean_off_diagonal(distances: Tensor) -> float:
    count = len(distances)
    return float(distances.sum()) / (count * (count - 1)) if count > 1 else math.nan
