"""The data-copying test: whether fakes lie nearer to the training images than held-out real images do, cell by cell."""

import math
from typing import NamedTuple

import torch
from scipy import stats
from scipy.special import ndtri
from torch import Tensor

from evaluation.features.cells import Cells
from evaluation.features.features import check_features
from evaluation.features.neighbours import nearest
from evaluation.statistics.intervals import CONFIDENCE, UNKNOWN, Interval

MOST_CELLS = 10
FEWEST = 20
"""Fakes and held-out images each that a cell needs to count: from there on the statistic is near enough to normal."""


class CopyTest(NamedTuple):
    """The result of a test; negative where fakes are too near to the training images, positive where too far."""

    z: float
    interval: Interval
    p_value: float
    """Of the null hypothesis that fakes are as near as held-out images, against both sides."""
    cells: int
    """Number of cells that count."""
    share: float
    """Share of the held-out images that are in them."""


def copy_test(real: Tensor, fake: Tensor, held_out: Tensor, *, num_cells: int | None = None, seed: int = 0) -> CopyTest:
    """Compare distances to the nearest training image (Meehan et al., 2020): C_T of (N, D), (M, D) and (L, D) features.

    The cells are made by k-means of the training features, `MOST_CELLS` by default, fewer where a cell would get less
    than twice `FEWEST` of either set. Where no cell counts, the result is NaN.
    """
    check_features(real, fake, least=1)
    check_features(real, held_out, least=1)
    if num_cells is None:
        num_cells = max(1, min(MOST_CELLS, len(real), min(len(fake), len(held_out)) // (2 * FEWEST)))
    cells = Cells(real, num_cells, seed=seed)
    near, control = (nearest(rows, real, 1)[0].squeeze(1).cpu() for rows in (fake, held_out))
    return copying(near, control, cells.of(fake), cells.of(held_out))


def num_cells(num_real: int, num_fake: int, num_held_out: int) -> int:
    """`MOST_CELLS`, or fewer where a cell would get less than twice `FEWEST` fakes or held-out images; 1 at least."""
    return max(1, min(MOST_CELLS, num_real, min(num_fake, num_held_out) // (2 * FEWEST)))


def copying(fake: Tensor, held_out: Tensor, fake_cells: Tensor, held_out_cells: Tensor) -> CopyTest:
    """The same from distances to the nearest training image, (M,) and (L,), and the cells that the images lie in.

    The mean of the cells' z over their shares of the held-out images. The interval is about its expectation at these
    sizes, given the training images: a cell's variance is that of placements (DeLong et al., 1988), or what it is by
    chance where that is more.
    """
    weights, values, variances = [], [], []
    for number in held_out_cells.unique().tolist():
        pair = fake[fake_cells == number], held_out[held_out_cells == number]
        if min(map(len, pair)) >= FEWEST:
            value, variance = rank_test(*pair)
            weights.append(len(pair[1]) / len(held_out))
            values.append(value)
            variances.append(max(1.0, variance))
    if not weights:
        return CopyTest(math.nan, UNKNOWN, math.nan, 0, 0.0)
    share = sum(weights)
    z = sum(weight * value for weight, value in zip(weights, values, strict=True)) / share
    by_chance = math.sqrt(sum(weight**2 for weight in weights)) / share
    error = math.sqrt(sum(weight**2 * variance for weight, variance in zip(weights, variances, strict=True))) / share
    margin = float(ndtri((1 + CONFIDENCE) / 2)) * error
    return CopyTest(
        z, Interval(z - margin, z + margin), 2 * float(stats.norm.sf(abs(z) / by_chance)), len(weights), share
    )


def rank_test(first: Tensor, second: Tensor) -> tuple[float, float]:
    """The z score of Mann and Whitney's U (1947) of (M,) against (L,) values, and its variance beyond chance.

    Negative where the first are smaller; ties count half. The variance is 1 where both have one distribution.
    """
    count, other, first, second = len(first), len(second), first.cpu(), second.cpu()
    ranks = torch.from_numpy(stats.rankdata(torch.cat([first, second]).double().numpy()))
    own = [torch.from_numpy(stats.rankdata(part.double().numpy())) for part in (first, second)]
    above = (ranks[:count] - own[0]) / other  # share of the second that each of the first exceeds, ties half
    below = (ranks[count:] - own[1]) / count
    _, ties = torch.cat([first, second]).unique(return_counts=True)
    total = count + other
    tied = float((ties.double() ** 3 - ties).sum()) / (total * (total - 1))
    by_chance = (total + 1 - tied) / (12 * count * other)
    if by_chance <= 0:
        return 0.0, 1.0
    variance = float(above.var()) / count + float(below.var()) / other
    return (float(above.mean()) - 0.5) / math.sqrt(by_chance), variance / by_chance
