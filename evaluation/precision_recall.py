"""Precision, recall, density and coverage: whether fakes lie among the reals, and reals among the fakes."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features import as_double, check_features
from evaluation.intervals import Estimate, mean, rate

MANIFOLD_NEIGHBOURS = 3  # Kynkäänniemi et al. (2019)
DENSITY_NEIGHBOURS = 5  # Naeem et al. (2020)
_CHUNK = 1024
_TIE = 1e-12  # squared distances closer than this, relative to the squared lengths, are one distance


class Neighbourhoods(NamedTuple):
    """Who lies in whose neighbourhood; N real and M fake samples."""

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
    """Compare (N, D) real with (M, D) fake features by nearest neighbours, in chunks of rows.

    A neighbourhood is the closed ball (`<=`) that reaches to the k-th nearest other sample of its own set. With the
    open ball of some implementations a set with repeated rows would not even lie within itself. Features are centred
    and in float64, since the fast form of the distance cancels; what is left of the rounding is within the tie rule.
    Raises ValueError where a set has no k other samples.
    """
    least = max(manifold_neighbours, density_neighbours) + 1
    real, fake = as_double(real_features), as_double(fake_features)
    check_features(real, fake, least=least)
    centre = real.mean(dim=0)
    real, fake = real - centre, fake - centre
    real_radii = _radii(real, [manifold_neighbours, density_neighbours])
    (fake_radius,) = _radii(fake, [manifold_neighbours])
    real_radii = [_widened(radii, real) for radii in real_radii]
    fake_radius = _widened(fake_radius, fake)

    fake_in_real, density = [], []
    real_in_fake = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(real_in_fake)
    for start, distances in _squared_distances(fake, real):
        fake_in_real.append((distances <= real_radii[0]).any(dim=1))
        inside = distances <= real_radii[1]
        density.append(inside.double().sum(dim=1) / density_neighbours)
        covered |= inside.any(dim=0)
        real_in_fake |= (distances <= fake_radius[start : start + len(distances), None]).any(dim=0)
    return Neighbourhoods(torch.cat(fake_in_real), real_in_fake, torch.cat(density), covered)


def precision_recall(real_features: Tensor, fake_features: Tensor) -> dict[str, Estimate]:
    """Score fidelity and diversity (Kynkäänniemi et al., 2019; Naeem et al., 2020).

    `precision`: share of fakes in a real neighbourhood; `recall`: share of reals in a fake one; `density`: real
    neighbourhoods around a fake over k, 1 for a perfect generator; `coverage`: share of real neighbourhoods with a fake
    in them. Intervals hold for new samples of the set that is counted, given the other one.
    """
    found = neighbourhoods(real_features, fake_features)
    return estimates(found)


def estimates(found: Neighbourhoods) -> dict[str, Estimate]:
    """The four scores with their intervals, from neighbourhoods that are known."""
    return {
        "precision": rate(found.fake_in_real),
        "recall": rate(found.real_in_fake),
        "density": mean(found.density),
        "coverage": rate(found.covered),
    }


def repeated(features: Tensor) -> Tensor:
    """Whether another sample of the set has the same features, to rounding: (N, D) to (N,) bool."""
    rows = as_double(features)
    if len(rows) < 2:
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    return _radii(rows - rows.mean(dim=0), [1])[0] == 0


def null_coverage(num_real: int, num_fake: int, *, neighbours: int = DENSITY_NEIGHBOURS) -> float:
    """Coverage expected of a perfect generator: 1 - prod_{j=1..k} (N - j) / (N + M - j), by exchangeability."""
    missed = 1.0
    for j in range(1, neighbours + 1):
        missed *= (num_real - j) / (num_real + num_fake - j)
    return 1 - missed


def _squared_distances(rows: Tensor, columns: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared distances in chunks of rows, with the number of the first row; what rounding could make is 0."""
    column_lengths = columns.square().sum(dim=1)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        lengths = chunk.square().sum(dim=1, keepdim=True) + column_lengths
        distances = lengths - 2 * chunk @ columns.T
        yield start, torch.where(distances > _TIE * lengths, distances, 0)


def _radii(features: Tensor, neighbours: list[int]) -> list[Tensor]:
    """Squared distance to the k-th nearest other sample, for each k: (N,) each."""
    radii: list[list[Tensor]] = [[] for _ in neighbours]
    for start, distances in _squared_distances(features, features):
        distances.diagonal(start)[:] = torch.inf
        nearest = distances.topk(max(neighbours), dim=1, largest=False, sorted=True).values
        for found, k in zip(radii, neighbours, strict=True):
            found.append(nearest[:, k - 1])
    return [torch.cat(found) for found in radii]


def _widened(radii: Tensor, features: Tensor) -> Tensor:
    """Squared radii that still hold a sample which lies exactly on them, whatever the rounding."""
    return radii + 2 * _TIE * features.square().sum(dim=1)
