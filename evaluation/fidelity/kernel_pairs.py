"""Sums of a kernel matrix by row, by column and of squares, from one pass over all pairs of samples."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features.features import as_double

_TILE = 512
"""Samples by samples: 2 MiB in float64, so that a tile stays in the cache."""
_SLAB = 128
"""Samples that are converted together, so that they stay in the cache."""


Shape = Callable[[Tensor], Tensor]
"""A kernel as a function, entry by entry, of products of prepared samples with both offsets added."""


def cube(products: Tensor) -> Tensor:
    """The cubic kernel, of x.y / D + 1."""
    return products.square().mul_(products)


class Sums(NamedTuple):
    """Sums of a kernel matrix, in float64."""

    rows: Tensor
    """(N,): over the second samples."""
    columns: Tensor
    """(M,): over the first samples."""
    squares: float
    """Of the squared entries."""


class Prepared(NamedTuple):
    """Features made ready for products: for the cube x.y / D + 1 is `values` times `values` plus both `offsets`."""

    values: Tensor
    """(N, D), about a common centre and over the root of D; float32 unless the features were float64."""
    offsets: Tensor
    """(N,) float64."""
    own: Tensor
    """(N,) float64: the kernel of each sample with itself."""


def prepare(*sets: Tensor) -> list[Prepared]:
    """Centre sets of features at their common mean, so that float32 products lose nothing to its length.

    Features of an extractor are float32, and so are their products here: that doubles the speed, and about a centre
    costs less than 1e-8 of the kernel's size. All else is float64. Features in float64 are multiplied in it.
    """
    centre = torch.stack([as_double(features.mean(dim=0, dtype=torch.float64)) for features in sets]).mean(dim=0)
    exact = all(features.dtype == torch.float64 for features in sets)
    return [_prepared(features, centre, torch.float64 if exact else torch.float32) for features in sets]


def across(first: Prepared, second: Prepared, shape: Shape = cube) -> Sums:
    """Sum a kernel over all pairs of two sets (N, D) and (M, D)."""
    rows, columns = torch.zeros_like(first.offsets), torch.zeros_like(second.offsets)
    squares = rows.new_zeros(())
    for left in _tiles(rows):
        for right in _tiles(columns):
            tile = shape(_products(first, second, left, right))
            rows[left] += tile.sum(dim=1)
            columns[right] += tile.sum(dim=0)
            squares += _squares(tile)
    return Sums(rows, columns, float(squares))


def within(features: Prepared, shape: Shape = cube) -> Sums:
    """Sum it over all ordered pairs of different samples of a set (N, D); each pair is multiplied once."""
    rows = torch.zeros_like(features.offsets)
    squares = rows.new_zeros(())
    for left in _tiles(rows):
        for right in _tiles(rows):
            if right.start < left.start:
                continue
            tile = shape(_products(features, features, left, right))
            rows[left] += _without_diagonal(tile, left == right).sum(dim=1)
            if right.start > left.start:
                rows[right] += tile.sum(dim=0)
            squares += _squares(tile) * (1 if left == right else 2)
    return Sums(rows, rows, float(squares))


def _prepared(features: Tensor, centre: Tensor, dtype: torch.dtype) -> Prepared:
    columns = len(centre)
    values = torch.empty(features.shape, dtype=dtype, device=centre.device)
    offsets, own = centre.new_empty(len(features)), centre.new_empty(len(features))
    for rows in _tiles(features, _SLAB):
        away = as_double(features[rows]) - centre
        offsets[rows] = (away @ centre + centre @ centre / 2) / columns + 0.5
        own[rows] = (away.square().sum(dim=1) / columns + 2 * offsets[rows]) ** 3
        values[rows] = away / columns**0.5
    return Prepared(values, offsets, own)


def _products(first: Prepared, second: Prepared, left: slice, right: slice) -> Tensor:
    products = first.values[left] @ second.values[right].T + first.offsets[left, None]
    products += second.offsets[right]
    return products


def _squares(tile: Tensor) -> Tensor:
    return torch.dot(tile.flatten(), tile.flatten())


def _without_diagonal(tile: Tensor, is_diagonal: bool) -> Tensor:
    return tile.fill_diagonal_(0) if is_diagonal else tile


def _tiles(rows: Tensor, size: int = 0) -> list[slice]:
    size = size or _TILE
    return [slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
