"""Nearest neighbours among features, exact and in chunks: no matrix of all distances is ever whole in memory."""

import torch
from torch import Tensor

from evaluation.features import as_double

_CHUNK = 1024
_SPARE = 8
"""Neighbours kept beyond those asked for, so that rounding in the fast form of the distance leaves none out."""


def nearest(rows: Tensor, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest of the columns for each row: (N, D) and (M, D) to distances (N, k) and indices (N, k).

    Distances are Euclidean, float64, rising, from plain differences of the features: 0 for equal ones, whatever their
    size. Raises ValueError where there are no k columns.
    """
    return _nearest(rows, columns, k, others=False)


def nearest_others(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other samples of the same set, as `nearest` gives them; a repeated sample is another one."""
    return _nearest(features, features, k, others=True)


def _nearest(rows: Tensor, columns: Tensor, k: int, *, others: bool) -> tuple[Tensor, Tensor]:
    rows, columns = as_double(rows), as_double(columns)
    there = len(columns) - others
    if not 1 <= k <= there:
        raise ValueError(f"k = {k} nearest neighbours need at least {k} samples to choose from: there are {there}")
    centre = columns.mean(dim=0)
    centred = columns - centre
    lengths = centred.square().sum(dim=1)
    distances, indices = [], []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        near = torch.addmm(lengths, chunk - centre, centred.T, alpha=-2)
        if others:
            near.diagonal(start).fill_(torch.inf)
        candidates = near.topk(min(k + _SPARE, there), dim=1, largest=False).indices.sort(dim=1).values
        found = torch.stack([(chunk - columns[column]).norm(dim=1) for column in candidates.T], dim=1)
        ordered = found.sort(dim=1, stable=True)
        distances.append(ordered.values[:, :k])
        indices.append(candidates.gather(1, ordered.indices[:, :k]))
    return torch.cat(distances), torch.cat(indices)
