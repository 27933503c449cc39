"""Whether two sets are told apart: pairs are exchanged at random, which changes nothing where the sets are alike."""

from typing import NamedTuple

import torch
from torch import Tensor

from attacks.random import uniform

EXCHANGES = 999
"""Random exchanges of a permutation test; a statistic above all of them has p = 1/1000."""
LEAST = 12
"""Pairs from which there are more ways of exchanging than are tried."""
_ROUNDING = 1e-6
"""Tolerance, relative to the mean distance of two rows, for rounding in the distances of equal rows."""


class Exchanged(NamedTuple):
    """An energy distance over the mean distance of two rows of the second set, and its largest value by exchanges."""

    distance: float
    largest: float
    """The largest distance over all exchanges."""
    pairs: int

    @property
    def apart(self) -> bool:
        """Whether no exchange came near it; by chance that happens to fewer than 1 in 1000."""
        return self.distance > self.largest + _ROUNDING


def exchanged(first: Tensor, second: Tensor, *, seed: int = 0, stream: int = 0) -> Exchanged:
    """Compute the energy distance (Székely and Rizzo, 2013) of (N, D) rows from (N, D) others, row by row their pairs.

    Where the rows of a pair come from one law, of whatever class that is, swapping them leaves the law as it is: the
    test is exact at any sample size and needs neither equal classes nor independent numbers of them. It sees every
    difference of the laws. Nothing is apart below 12 pairs.
    """
    within, count = torch.cdist(second, second), len(first)
    unit = float(within.sum()) / max(count * (count - 1), 1)
    if count < LEAST or not unit > 0:
        return Exchanged(0.0, 0.0, count)
    across = torch.cdist(first, second)
    pulls = (across + across.T - within - torch.cdist(first, first)).fill_diagonal_(0) / (unit * count * (count - 1))
    signs = (uniform(seed, torch.arange(EXCHANGES), (count,), stream=stream) < 0.5).to(pulls) * 2 - 1
    largest = ((signs @ pulls) * signs).sum(dim=1).max()
    return Exchanged(float(pulls.sum()), float(largest), count)
