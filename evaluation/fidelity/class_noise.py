"""The sampling noise of a distance, split into noise between and within classes, given how the images were drawn.

The floor is about a generator whose class frequencies are those of the real images. So the class counts of the whole
real set are no noise, those of a random part of it are; sets whose classes were dealt out (by a stratified split, or in
turn) have none either. What remains is noise within classes (Cochran, 1977).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import linalg, stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from evaluation.features.moments import centred

_EVEN = 0.01
"""Probability under independent draws below which class counts are so even that they must have been dealt out."""
_ROUNDING = 1e-10
"""Of the largest eigenvalue."""


class ClassNoise(NamedTuple):
    """Noise of a sample's mean and covariance, as they count in a distance, over that of independent Gaussian rows."""

    within: float = 1.0
    """What rows within their classes make."""
    total: float = 1.0
    """What independent rows make, by their fourth moments."""
    drawn_from: float = math.inf
    """Real images of which the real ones are a draw; all of them have no noise of their classes."""
    even: bool = False
    """Whether the classes of the generated ones were dealt out."""

    def factor(self, num_real: int, num_fake: int) -> float:
        """What a distance of samples of these sizes is expected to be, over that of independent Gaussian ones."""
        between = self.total - self.within
        real = self.within + max(0.0, 1 - num_real / self.drawn_from) * between
        fake = self.within if self.even else self.total
        return (real / num_real + fake / num_fake) / (1 / num_real + 1 / num_fake)


INDEPENDENT = ClassNoise()
"""Nothing is known of classes: all rows are independent draws of a Gaussian."""


def class_noise(
    real_features: Tensor, labels: Tensor | None, *, drawn_from: int = 0, fake_labels: Tensor | None = None
) -> ClassNoise:
    """Measure it on real features (N, D) with their classes (N,); `drawn_from` 0 means that they are all there are.

    With the eigenvalues h of the covariance, a row z counts as |z|^2 + sum_ij (z_i z_j - S_ij)^2 / (2 (h_i + h_j)), the
    distance's second order in the means and covariances. `INDEPENDENT` without two classes of two rows.
    """
    if labels is None or len(labels.unique()) < 2 or len(labels) <= len(labels.unique()):
        return INDEPENDENT
    rows, levels = _principal(real_features)
    if len(levels) == 0:
        return INDEPENDENT
    weights = 1 / (2 * (levels[:, None] + levels))
    gaussian = float(levels.sum() * 1.25 + (weights * levels[:, None] * levels).sum())
    squares = rows.square()
    count, singles, inside = len(rows), 0, 0.0
    for kind in labels.unique():
        mine = (labels == kind).to(rows.device)
        if (size := int(mine.sum())) < 2:
            singles += size
            continue
        inside += size * _variance(rows[mine], squares[mine], weights)
    total = _variance(rows, squares, weights)
    return ClassNoise(
        within=min(inside / (count - singles), total) / gaussian,
        total=total / gaussian,
        drawn_from=max(drawn_from, count),
        even=fake_labels is not None and are_even(labels, fake_labels),
    )


def are_even(real_labels: Tensor, fake_labels: Tensor) -> bool:
    """Whether the classes of a set are nearer to the real shares than independent draws ever are, but for 1 in 100."""
    classes = int(max(real_labels.max(), fake_labels.max())) + 1
    real, fake = (labels.cpu().bincount(minlength=classes).double() for labels in (real_labels, fake_labels))
    if bool((fake[real == 0] > 0).any()):
        return False
    expected = real[real > 0] / real.sum() * fake.sum()
    excess = float(((fake[real > 0] - expected).square() / expected).sum())
    return bool(stats.chi2.cdf(excess, len(expected) - 1) < _EVEN)


def _variance(rows: Tensor, squares: Tensor, weights: Tensor) -> float:
    """Variance of what a row counts, about the mean of these rows."""
    count = len(rows)
    mean, moments = rows.mean(dim=0), rows.T @ rows / count
    raw = float(squares.sum() / count + ((squares @ weights) * squares).sum() / count)
    return (raw - float(mean.square().sum() + (weights * moments.square()).sum())) * count / (count - 1)


def _principal(features: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations from the mean along the directions of the covariance (N, R), and its eigenvalues (R,) above 0."""
    _, rows = centred(features)
    wide = len(rows) <= rows.shape[1]
    products = (rows @ rows.T if wide else rows.T @ rows) / (len(rows) - 1)
    with threadpool_limits(limits=1):
        values, vectors = linalg.eigh(products.cpu().numpy(), check_finite=False)
    kept = values > _ROUNDING * max(values[-1], np.finfo(np.float64).tiny)
    levels, basis = (torch.from_numpy(part).to(rows) for part in (values[kept], vectors[:, kept]))
    return (basis * (levels * (len(rows) - 1)).sqrt() if wide else rows @ basis), levels
