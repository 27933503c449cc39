"""Diversity by mean pairwise distances of features, overall and within classes."""

import math
from typing import NamedTuple

import torch
from scipy.special import ndtri
from torch import Tensor

from evaluation.features.features import as_double
from evaluation.statistics.intervals import CONFIDENCE, UNKNOWN, Estimate

FEWEST_IN_CLASS = 3
"""Images of a class from which the variance of their mean distance can be told."""
_CHUNK = 1024


class Spread(NamedTuple):
    """Mean Euclidean distances between features of images: of all pairs, and of pairs of the same class.

    `within` (K,) has NaN for a class with fewer than two images.
    """

    overall: float
    within: Tensor


def spread(features: Tensor, classes: Tensor, *, num_classes: int) -> Spread:
    """Measure (N, D) features of images of the classes (N,)."""
    classes = classes.to(features.device)
    within = torch.full((num_classes,), math.nan, dtype=torch.float64)
    for number in classes.unique().tolist():
        within[number] = float(mean_distances(features[classes == number]).mean())
    return Spread(float(mean_distances(features).mean()), within)


def mean_distances(features: Tensor) -> Tensor:
    """Mean Euclidean distance of each sample to all others of the set: (N, D) to (N,) float64; NaN for a single one."""
    rows = as_double(features)
    rows = rows - rows.mean(dim=0)
    totals = [_distances(part, rows, start * _CHUNK).sum(dim=1) for start, part in enumerate(rows.split(_CHUNK))]
    return torch.cat(totals) / (len(rows) - 1)


def diversity(fake: Spread, real: Spread) -> float | None:
    """Mean distance of two fakes over that of two reals: 1 for a perfect generator, 0 for one that draws one image.

    None where the reals are all alike.
    """
    return fake.overall / real.overall if real.overall > 0 else None


def class_diversity(fake: Spread, real: Spread) -> float | None:
    """The same for two images of one class, averaged over the classes that both sides have; None if there is none.

    It finds the conditional generator that draws one image a class, which `diversity` takes for varied.
    """
    ratios = fake.within / real.within
    known = ratios[ratios.isfinite()]
    return float(known.mean()) if len(known) else None


def class_diversity_estimate(fake: Tensor, fake_classes: Tensor, real: Tensor, real_classes: Tensor) -> Estimate:
    """`class_diversity` of (M, D) fake and (N, D) real features of the classes (M,) and (N,), with its interval.

    Only classes of `FEWEST_IN_CLASS` images on both sides count; NaN where there is none. The interval is the normal
    one of ratios of U-statistics (Hoeffding, 1948), given the number of images of each class.
    """
    ratios, variances = [], []
    for number in sorted(set(fake_classes.tolist()) & set(real_classes.tolist())):
        rows = fake[(fake_classes == number).to(fake.device)], real[(real_classes == number).to(real.device)]
        if min(map(len, rows)) < FEWEST_IN_CLASS:
            continue
        (over, over_error), (under, under_error) = (_mean_pair(part) for part in rows)
        if under > 0:
            ratios.append(over / under)
            variances.append((over_error / under) ** 2 + (over * under_error / under**2) ** 2)
    if not ratios:
        return Estimate(math.nan, *UNKNOWN)
    value = sum(ratios) / len(ratios)
    margin = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(sum(variances)) / len(ratios)
    return Estimate(value, max(0.0, value - margin), value + margin)


def batch_variance_ratio(features: Tensor) -> float:
    """Variance between batches over what independent samples would show: (B, n, D) features of B batches to a number.

    The F statistic of an analysis of variance, summed over the features: 1 where the images of a batch have nothing in
    common, larger where a batch looks alike, as batch norm in train mode makes it.
    """
    rows = as_double(features)
    between = rows.shape[1] * rows.mean(dim=1).var(dim=0).sum()
    return float(between / rows.var(dim=1).mean(dim=0).sum())


def latent_sensitivity(features: Tensor, latents: Tensor, *, apart: int = 1, labels: Tensor | None = None) -> float:
    """Mean of d(G(z1), G(z2)) / |z1 - z2| over pairs of samples that are `apart` in order; 0: latents are ignored.

    `features` (N, D) of the images, `latents` (N, L). With `labels` (N,) the pairs are next to each other in the order
    of their class, and both of one; NaN where no two are.
    """
    images, codes = as_double(features), as_double(latents).to(features.device)
    if labels is not None:
        order = labels.argsort(stable=True).to(images.device)
        images, codes, sorted_labels = images[order], codes[order], labels.to(images.device)[order]
    moved = (images[apart:] - images[:-apart]).norm(dim=1) / (codes[apart:] - codes[:-apart]).norm(dim=1)
    return float((moved if labels is None else moved[sorted_labels[apart:] == sorted_labels[:-apart]]).mean())


def _distances(part: Tensor, rows: Tensor, start: int) -> Tensor:
    """Distances of a part of the rows, which begins at `start`, to all of them; to itself exactly 0."""
    distances = torch.cdist(part, rows)
    distances.diagonal(start).fill_(0)
    return distances


def _mean_pair(features: Tensor) -> tuple[float, float]:
    """Mean distance of two samples of a set, with its standard error: twice that of the mean of `mean_distances`."""
    means = mean_distances(features)
    return float(means.mean()), 2 * float(means.std()) / math.sqrt(len(means))
