"""Mode hopping between snapshots of a training, and oscillation of a logged series (a game that goes in circles).

Hopping is a total variation between snapshots that stays high at a constant number of modes; there is no canonical
paper.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from attacks.random import uniform
from evaluation.modes.history import change
from evaluation.statistics.absolute_sum import AbsoluteSum, absolute_sum
from evaluation.statistics.intervals import UNKNOWN, Estimate, rate

ORDERS = 999
FEWEST_LOOKS = 8
"""For an oscillation: two periods of the shortest one, and some."""


class Oscillation(NamedTuple):
    """The strongest repetition in a series of looks."""

    strength: float
    """Autocorrelation at `period`, in [-1, 1]."""
    period: int
    """In looks."""
    p_value: Estimate
    """Share of shuffled orders whose strongest repetition is as strong, with the interval of their number."""


def hopping_of_samples(classes: Tensor, *, num_classes: int, seed: int = 0) -> AbsoluteSum:
    """Mean total variation between neighbours among snapshots that drew the same latents; (T, N) classes, T >= 2.

    0 for a generator that stands still. Images of one latent go together, so the interval knows that most of them stay
    where they are. Raises ValueError for a single snapshot.
    """
    if len(classes) < 2:
        raise ValueError("one snapshot shows no hopping: give two or more checkpoints of a run")
    drawn = one_hot(classes.cpu(), num_classes).double()
    moves = (drawn[1:] - drawn[:-1]).transpose(0, 1).flatten(1) / (2 * (len(classes) - 1))
    return absolute_sum(moves.mean(dim=0), torch.cov(moves.T) / len(moves), seed=seed)


def hopping_of_counts(counts: Sequence[Sequence[int]], *, seed: int = 0) -> AbsoluteSum:
    """Estimate the same from histograms (T, K) alone, as a log has them, treating snapshots as independent draws.

    Where snapshots share latents, as those of a training do, the interval is too wide rather than too narrow.
    """
    if len(counts) < 2:
        raise ValueError("one histogram shows no hopping: give those of two looks or more")
    table = torch.tensor(counts, dtype=torch.float64)
    sizes = table.sum(dim=1, keepdim=True).clamp(min=1)
    shares, num_moves = table / sizes, len(table) - 1
    noise = [(torch.diag(share) - torch.outer(share, share)) / size for share, size in zip(shares, sizes, strict=True)]
    between = torch.diff(torch.eye(len(table), dtype=torch.float64), dim=0)
    blocks = torch.block_diag(*noise)
    spread = torch.kron(between, torch.eye(table.shape[1], dtype=torch.float64))
    covariance = spread @ blocks @ spread.T / (2 * num_moves) ** 2
    return absolute_sum(shares.diff(dim=0).flatten() / (2 * num_moves), covariance, seed=seed)


def modes_changed(counts: Sequence[Sequence[int]]) -> int:
    """Classes gained and lost between neighbouring snapshots, together."""
    changes = [change(before, after) for before, after in pairwise(counts)]
    return sum(one.gained + one.lost for one in changes)


def oscillation(series: Sequence[float], *, seed: int = 0) -> Oscillation:
    """Find the strongest repetition in a series of looks, such as D(x) - D(G(z)), by its autocorrelation.

    A line is taken out first: mere progress is no circle. Periods from 2 looks to half of them are tried, and only
    beyond the first lag at which the correlation is not positive, since what changes slowly resembles itself for a
    while. NaN where there are fewer than eight looks, or nothing changes.
    """
    values = np.asarray(series, dtype=np.float64)
    if len(values) < FEWEST_LOOKS:
        return Oscillation(math.nan, 0, Estimate(math.nan, *UNKNOWN))
    times = np.arange(len(values), dtype=np.float64)
    rest = torch.from_numpy(values - np.polyval(np.polyfit(times, values, 1), times))
    if float(rest.std()) <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return Oscillation(math.nan, 0, Estimate(math.nan, *UNKNOWN))
    orders = uniform(seed, torch.arange(ORDERS), (len(rest),)).argsort(dim=1)
    strengths, periods = _strongest(torch.cat([rest[None], rest[orders]]))
    return Oscillation(float(strengths[0]), int(periods[0]), rate(strengths[1:] >= strengths[0]))


def mean_hopping(found: AbsoluteSum) -> Estimate:
    """The estimate, cut to [0, 1]."""
    value, low, high = found.estimate
    return Estimate(value, low, min(1.0, high))


def _strongest(series: Tensor) -> tuple[Tensor, Tensor]:
    """For each series (B, T), the largest autocorrelation after its first non-positive lag, and its lag; 0 if none."""
    centred = series - series.mean(dim=1, keepdim=True)
    power = torch.fft.rfft(centred, n=2 * series.shape[1], dim=1).abs().square()
    sums = torch.fft.irfft(power, n=2 * series.shape[1], dim=1)
    found = sums[:, 1 : series.shape[1] // 2 + 1] / sums[:, :1]
    crossed = (found <= 0).int().cumsum(dim=1) > 0
    beyond = torch.where(crossed, found, -1.0)
    strengths, lags = beyond.max(dim=1)
    known = strengths > 0
    return torch.where(known, strengths, 0.0), torch.where(known, lags + 1, 0)
