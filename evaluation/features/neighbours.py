"""Exact nearest neighbours among features, computed in tiles, so the full distance matrix is never in memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evaluation.features.tiles import MANY, Cloud, Tile, clouds, parts, squared_distances, tile, tile_size


def nearest(rows: Tensor, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest of the columns for each row: (N, D) and (M, D) to distances (N, k) and indices (N, k).

    Distances are Euclidean, float64, rising, from plain differences of the features: 0 for equal ones, whatever their
    size. Of columns that are equally near any may be named. Raises ValueError where there are no k columns.
    """
    _check_k(k, len(columns))
    left, right = clouds(rows, columns)
    found = _Found(left, right, k)
    for row_part in parts(len(left), tile_size(left)):
        for column_part in parts(len(right), tile_size(right)):
            found.look(tile(left, row_part, right, column_part))
    return found.squared.sqrt() / left.scale, found.indices


def nearest_others(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other samples of the same set, as `nearest` gives them; a repeated sample is another one."""
    (cloud,) = clouds(features)
    squared, indices = others(cloud, k)
    return squared.sqrt() / cloud.scale, indices


def others(cloud: Cloud, k: int) -> tuple[Tensor, Tensor]:
    """`nearest_others` of a cloud, as squared distances in the cloud's scale; each pair is computed once."""
    _check_k(k, len(cloud) - 1)
    found = _Found(cloud, cloud, k)
    for rows, columns in _upper_triangle(parts(len(cloud), tile_size(cloud))):
        seen = tile(cloud, rows, cloud, columns)
        if rows == columns:
            seen.lower.fill_diagonal_(torch.inf)
        found.look(seen)
        if rows != columns:
            found.look(seen.turned())
    return found.squared, found.indices


def repeated(features: Tensor) -> Tensor:
    """Whether another sample of the set has the same features: (N, D) to (N,) bool."""
    if len(features) < 2:
        return torch.zeros(len(features), dtype=torch.bool, device=features.device)
    return nearest_others(features, 1)[0][:, 0] == 0


class _Found:
    """The k nearest columns of each row among the tiles seen so far, by squared distance."""

    def __init__(self, left: Cloud, right: Cloud, k: int) -> None:
        self.left, self.right, self.k = left, right, k
        device = left.features.device
        self.squared = torch.full((len(left), k), torch.inf, dtype=torch.float64, device=device)
        self.indices = torch.full((len(left), k), -1, dtype=torch.int64, device=device)

    def look(self, seen: Tile) -> None:
        """Update with a tile; entries at infinity (a sample and itself) are left out."""
        limits = self._limits(seen.rows)
        rows = (seen.lower.amin(dim=1) < limits).nonzero().flatten()
        lower = seen.lower[rows]
        fresh = limits[rows].isinf().nonzero().flatten()
        if len(fresh):
            lowest = lower[fresh].topk(min(self.k, lower.shape[1]), dim=1, largest=False)
            row, place = lowest.values.isfinite().nonzero(as_tuple=True)
            self._take(seen, rows[fresh[row]], lowest.indices[row, place])
            lower[fresh[:, None], lowest.indices] = torch.inf
            limits = self._limits(seen.rows)
        closer = lower < limits[rows, None]
        if int(closer.sum()) * MANY > seen.lower.numel() and seen.lower.dtype == torch.float32:
            finer = tile(self.left, seen.rows, self.right, seen.columns, torch.float64).lower[rows]
            closer &= finer < limits[rows, None]
        row, column = closer.nonzero(as_tuple=True)
        self._take(seen, rows[row], column)

    def _limits(self, rows: slice) -> Tensor:
        """The squared distances below which a column is a new neighbour: the k-th so far; -inf where that is 0."""
        limits = self.squared[rows, -1]
        return torch.where(limits > 0, limits, -torch.inf)

    def _take(self, seen: Tile, rows: Tensor, columns: Tensor) -> None:
        """Compute the exact distances of (P,) pairs of a tile, and keep the k nearest of each row."""
        rows, columns = rows + seen.rows.start, columns + seen.columns.start
        squared, order = squared_distances(self.left, rows, self.right, columns).sort()
        rows, by_row = rows[order].sort(stable=True)
        order = order[by_row]
        touched, group, counts = rows.unique_consecutive(return_inverse=True, return_counts=True)
        place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[group]
        few = place < self.k
        distances = torch.full((len(touched), self.k), torch.inf, dtype=torch.float64, device=rows.device)
        indices = torch.full((len(touched), self.k), -1, dtype=torch.int64, device=rows.device)
        distances[group[few], place[few]] = squared[by_row][few]
        indices[group[few], place[few]] = columns[order][few]
        joined = torch.cat([self.squared[touched], distances], dim=1).sort(dim=1, stable=True)
        self.squared[touched] = joined.values[:, : self.k]
        both = torch.cat([self.indices[touched], indices], dim=1)
        self.indices[touched] = both.gather(1, joined.indices[:, : self.k])


def _upper_triangle(blocks: list[slice]) -> Iterator[tuple[slice, slice]]:
    """Pairs of blocks, the diagonal first: it gives every sample near neighbours, so few later pairs are computed."""
    yield from zip(blocks, blocks, strict=True)
    for number, rows in enumerate(blocks):
        for columns in blocks[number + 1 :]:
            yield rows, columns


def _check_k(k: int, there: int) -> None:
    if not 1 <= k <= there:
        raise ValueError(f"{k} nearest neighbours need as many other samples, and there are {there}: use more samples")
