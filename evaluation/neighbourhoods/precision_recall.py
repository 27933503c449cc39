"""Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020)."""

from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features.features import check_features
from evaluation.features.neighbours import others
from evaluation.features.tiles import MANY, Cloud, Tile, clouds, parts, squared_distances, tile, tile_size
from evaluation.neighbourhoods.half_splits import DesignEffects, design_effects
from evaluation.statistics.intervals import Estimate
from evaluation.statistics.share_intervals import mean_count, share

MANIFOLD_NEIGHBOURS = 3  # Kynkäänniemi et al. (2019)
DENSITY_NEIGHBOURS = 5  # Naeem et al. (2020)
_TIE = 1e-12  # squared distances closer than this, relatively, are one distance


class Neighbourhoods(NamedTuple):
    """Membership in neighbourhoods, of N real and M fake samples."""

    fake_in_real: Tensor
    """(M,) bool: within the k-th neighbour's distance of some real sample, k = 3."""
    real_in_fake: Tensor
    """(N,) bool: within the k-th neighbour's distance of some fake sample, k = 3."""
    density: Tensor
    """(M,) float64: number of real neighbourhoods around the sample, divided by k = 5."""
    covered: Tensor
    """(N,) bool: the neighbourhood of the real sample, k = 5, holds a fake one."""


def neighbourhoods(
    real_features: Tensor,
    fake_features: Tensor,
    *,
    manifold_neighbours: int = MANIFOLD_NEIGHBOURS,
    density_neighbours: int = DENSITY_NEIGHBOURS,
) -> Neighbourhoods:
    """Compare (N, D) real with (M, D) fake features by nearest neighbours, in tiles.

    A neighbourhood is the closed ball (`<=`) that reaches to the k-th nearest other sample of its own set. With the
    open ball of some implementations a set with repeated rows would not even lie within itself. Every decision is that
    of float64, distances that differ by rounding alone being equal. Raises ValueError where a set has no k other
    samples.
    """
    check_features(real_features, fake_features, least=max(manifold_neighbours, density_neighbours) + 1)
    real, fake = clouds(real_features, fake_features)
    real_radii, _ = others(real, max(manifold_neighbours, density_neighbours))
    fake_radii, _ = others(fake, manifold_neighbours)
    manifold, ball = real_radii[:, manifold_neighbours - 1], real_radii[:, density_neighbours - 1]

    fake_in_real = torch.zeros(len(fake), dtype=torch.bool, device=real.features.device)
    real_in_fake, covered = (torch.zeros(len(real), dtype=torch.bool, device=fake_in_real.device) for _ in range(2))
    count = torch.zeros(len(fake), dtype=torch.int64, device=fake_in_real.device)
    for rows in parts(len(fake), tile_size(fake)):
        for columns in parts(len(real), tile_size(real)):
            seen = tile(fake, rows, real, columns)
            _, inside = _inside(fake, real, seen, manifold[columns])
            fake_in_real[rows] |= inside.any(dim=1)
            near, inside = _inside(fake, real, seen, ball[columns])
            count[rows] += inside.sum(dim=1)
            covered[columns.start + near] |= inside.any(dim=0)
            near, inside = _inside(real, fake, seen.turned(), fake_radii[rows, -1])
            real_in_fake[columns] |= inside.any(dim=1)
    return Neighbourhoods(fake_in_real, real_in_fake, count.double() / density_neighbours, covered)


def precision_recall(real_features: Tensor, fake_features: Tensor, *, seed: int = 0) -> dict[str, Estimate]:
    """Score fidelity and diversity (Kynkäänniemi et al., 2019; Naeem et al., 2020).

    `precision`: share of fakes in a real neighbourhood; `recall`: share of reals in a fake one; `density`: real
    neighbourhoods around a fake over k, 1 for a perfect generator; `coverage`: share of real neighbourhoods with a fake
    in them. Intervals are about the expectation at these sample sizes, over new samples of both sets; `seed` deals the
    samples into the halves that the intervals come from.
    """
    return estimates(neighbourhoods(real_features, fake_features), effects_of(real_features, fake_features, seed=seed))


def effects_of(real_features: Tensor, fake_features: Tensor, *, seed: int = 0) -> DesignEffects:
    """How much the four scores vary, at the neighbours that they count."""
    return design_effects(
        real_features, fake_features, manifold=MANIFOLD_NEIGHBOURS, density=DENSITY_NEIGHBOURS, seed=seed
    )


def estimates(found: Neighbourhoods, effects: DesignEffects) -> dict[str, Estimate]:
    """The four scores with their intervals, from known neighbourhoods and design effects."""
    return {
        "precision": share(found.fake_in_real, effects.precision, others=len(found.covered)),
        "recall": share(found.real_in_fake, effects.recall, others=len(found.density)),
        "density": mean_count(found.density, effects.density, others=len(found.covered)),
        "coverage": share(found.covered, effects.coverage, others=len(found.density)),
    }


def null_coverage(num_real: int, num_fake: int, *, neighbours: int = DENSITY_NEIGHBOURS) -> float:
    """Coverage expected of a perfect generator: 1 - prod_{j=1..k} (N - j) / (N + M - j), by exchangeability."""
    missed = 1.0
    for j in range(1, neighbours + 1):
        missed *= (num_real - j) / (num_real + num_fake - j)
    return 1 - missed


def _inside(points: Cloud, centres: Cloud, seen: Tile, squared_radii: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of a tile lie in the closed balls around which columns: column numbers (c,), flags (n, c).

    Columns with nobody inside are left out. What the bounds leave open is settled exactly, after bounds in float64
    where it is much.
    """
    limits = squared_radii * (1 + _TIE)
    near = (seen.lower.amin(dim=0) <= limits).nonzero().flatten()
    limits = limits[near]
    inside, unsure = _decide(seen, near, limits)
    if int(unsure.sum()) * MANY > seen.lower.numel():
        inside, unsure = _decide(tile(points, seen.rows, centres, seen.columns, torch.float64), near, limits)
    row, column = unsure.nonzero(as_tuple=True)
    exact = squared_distances(points, row + seen.rows.start, centres, near[column] + seen.columns.start)
    inside[row, column] = exact <= limits[column]
    return near, inside


def _decide(seen: Tile, columns: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """Flags (n, c) of rows within the limits by the lower bounds, and of those undecided by the upper bounds."""
    lower = seen.lower[:, columns]
    upper = lower + seen.row_slack[:, None] + seen.column_slack[columns]
    return lower <= limits, (lower <= limits) & (upper > limits)
