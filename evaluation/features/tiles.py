"""Distances between two sets of features, tile by tile: fast in float32, with a bound on the rounding error.

A matrix product gives the squared distances of a tile at once, |x|^2 + |y|^2 - 2 x.y, but suffers from cancellation. So
a tile holds lower bounds; the true values are at most the slack above. The few pairs that these bounds leave undecided
are computed in float64 from the differences of the features. Decisions are then those of float64, whatever the
precision that torch is set to.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advgan.machine.precision import true_float32

MANY = 64
"""Where float32 leaves more than one in so many entries of a tile open, float64 bounds are worth their time."""
_EXACT_AT_ONCE = 1 << 17
"""Numbers in a batch of pairs whose differences are taken: 1 MiB of float64, which stays in the cache."""


@dataclass(frozen=True)
class Cloud:
    """A set of features (N, D), with a float32 copy that is centred and scaled to about 1."""

    features: Tensor
    centre: Tensor
    scale: float
    """A power of 2, so that scaling rounds nothing. All squared distances here are of the scaled features."""
    rounded: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, part: slice, dtype: torch.dtype) -> Tensor:
        """Centred features of a part, in float32 or float64."""
        if dtype == torch.float32:
            return self.rounded[part]
        return (self.features[part].double() - self.centre) * self.scale


@dataclass(frozen=True)
class Tile:
    """Lower bounds (n, m) of squared distances, at most the sum of the row's and the column's slack too low."""

    rows: slice
    columns: slice
    lower: Tensor
    row_slack: Tensor
    """(n,)"""
    column_slack: Tensor
    """(m,)"""

    def turned(self) -> "Tile":
        """The same with rows and columns swapped; a view."""
        return Tile(self.columns, self.rows, self.lower.T, self.column_slack, self.row_slack)


def clouds(*sets: Tensor) -> list[Cloud]:
    """Prepare sets of features for distances among them: a common centre, a common scale, a float32 copy of each."""
    sets = tuple(features.cpu() if features.device.type == "mps" else features for features in sets)
    count = sum(len(features) for features in sets)
    size = _rows_at_once(sets[0])
    parts = [part for features in sets for part in features.split(size) if len(part)]
    centre = torch.stack([part.sum(dim=0, dtype=torch.float64) for part in parts]).sum(dim=0) / count
    largest = float(torch.stack([(part.double() - centre).abs().amax() for part in parts]).amax())
    scale = 2.0 ** -round(float(torch.tensor(largest).double().log2())) if largest > 0 else 1.0
    return [_cloud(features, centre, scale, size) for features in sets]


def tile_size(cloud: Cloud) -> int:
    """Rows of a tile: what a processor's cache holds, or what keeps an accelerator busy."""
    return _rows_at_once(cloud.features)


def parts(count: int, size: int) -> list[slice]:
    """Cut `count` rows into slices of `size`."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def tile(left: Cloud, rows: slice, right: Cloud, columns: slice, dtype: torch.dtype = torch.float32) -> Tile:
    """Bound the squared distances of some rows and columns.

    The error of a sum of D products is at most D u |x| |y|, u being the unit of rounding (Higham, 2002, section 3.1);
    16 u more are for the rounding of the features, their lengths and the three terms.
    """
    first, second = left.rows(rows, dtype), right.rows(columns, dtype)
    share = (first.shape[1] + 16) * torch.finfo(dtype).eps / 2
    first_lengths, second_lengths = (values.square().sum(dim=1, dtype=torch.float64) for values in (first, second))
    with true_float32():
        lower = torch.addmm(((1 - share) * second_lengths).to(dtype), first, second.T, alpha=-2)
    lower += ((1 - share) * first_lengths - _TINY).to(dtype)[:, None]
    return Tile(rows, columns, lower, 2 * share * first_lengths + _TINY, 2 * share * second_lengths + _TINY)


def squared_distances(left: Cloud, rows: Tensor, right: Cloud, columns: Tensor) -> Tensor:
    """Squared distances of pairs of (P,) rows and (P,) columns, from differences in float64: exactly 0 for equals."""
    at_once = _EXACT_AT_ONCE if rows.device.type == "cpu" else 64 * _EXACT_AT_ONCE
    batch = max(1, at_once // left.features.shape[1])
    found = [
        (left.features[row].double() - right.features[column].double()).mul_(left.scale).square_().sum(dim=1)
        for row, column in zip(rows.split(batch), columns.split(batch), strict=True)
    ]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64, device=left.features.device)


_TINY = 1e-30
"""Covers products that vanish in float32: features are scaled to about 1."""


def _cloud(features: Tensor, centre: Tensor, scale: float, size: int) -> Cloud:
    rounded = torch.empty(features.shape, dtype=torch.float32, device=features.device)
    for part in parts(len(features), size):
        rounded[part] = (features[part].double() - centre) * scale
    return Cloud(features, centre, scale, rounded)


def _rows_at_once(features: Tensor) -> int:
    return 1024 if features.device.type == "cpu" else 8192
