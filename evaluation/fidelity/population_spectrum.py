"""Estimate the eigenvalues of a population covariance from those of a sample, which are spread wider for few rows.

The Marchenko-Pastur (1967) equation is linear in the distribution of the population's eigenvalues once the sample's
Stieltjes transform is known, so that distribution is found by non-negative least squares (after El Karoui, 2008).
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg, optimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from evaluation.features.moments import Moments, centred
from evaluation.fidelity.factors import factor_of_covariance

Vector = NDArray[np.float64]
Complex = NDArray[np.complex128]

_ANGLES = np.pi * np.array([180, 120, 90, 60, 40]) / 180
"""Of the points at which the equation is fitted. Nearer the positive half-line a sample's own eigenvalues show."""
_POINTS, _ATOMS, _ROUNDS = 24, 120, 2
_ZERO = 1e-12
"""Eigenvalues below this share of the largest are rounding."""


class Spectrum(NamedTuple):
    """Eigenvalues (K,) of a population covariance, each positive, and how many of each there are, not whole numbers."""

    eigenvalues: Vector
    counts: Vector

    @property
    def trace(self) -> float:
        return float(self.counts @ self.eigenvalues)


def spectrum_of(features: Tensor) -> Spectrum:
    """Recover the population's spectrum from features (N, D), N at least 2; see `population_spectrum`.

    No more rows than columns have no more eigenvalues than rows, which are those of the rows' own products (N, N).
    """
    if len(features) > features.shape[1]:
        moments = Moments.of(features)
        return spectrum_behind(moments.covariance(), moments.count)
    _, rows = centred(features)
    return _behind(rows @ rows.T / (len(rows) - 1), len(rows))


def spectrum_behind(covariance: Tensor, num_samples: int) -> Spectrum:
    """Recover the population's spectrum from a sample's covariance (D, D) over N - 1; see `population_spectrum`."""
    if num_samples > len(covariance):
        return _behind(covariance, num_samples)
    factor = torch.from_numpy(factor_of_covariance(covariance.cpu().numpy()))
    return _behind(factor @ factor.T, num_samples)


def population_spectrum(sample_eigenvalues: Vector, degrees: int) -> Spectrum:
    """Recover the population's spectrum from the eigenvalues of an unbiased sample covariance.

    `degrees` are the rows less one. The trace is kept, as it is unbiased. For Gaussian rows, from half as many rows as
    columns on, whatever depends smoothly on the spectrum comes out nearly unbiased; single eigenvalues do not. The
    transform's own bias of order 1/N (Bai and Silverstein, 2004) is taken off with the spectrum of the round before.
    """
    sample = np.sort(sample_eigenvalues)[::-1]
    if len(sample) == 0 or sample[0] <= 0:
        return Spectrum(np.empty(0), np.empty(0))
    sample = sample[sample > _ZERO * sample[0]][:degrees]
    places = _places(sample)
    companion = ((1 / (sample - places[:, None])).sum(axis=1) - (degrees - len(sample)) / places) / degrees
    lowest = max(sample[-1], 1e-8 * sample[0]) / (30 if len(sample) == degrees else 3)
    atoms = np.geomspace(lowest, 1.3 * sample[0], _ATOMS)
    counts, bias = np.empty(0), np.zeros_like(companion)
    for _ in range(_ROUNDS):
        counts = _fit(atoms, places, companion - bias, degrees)
        bias = companion_bias(atoms, counts, companion - bias, degrees)
    found = Spectrum(atoms[counts > 0], counts[counts > 0])
    return Spectrum(found.eigenvalues * (sample.sum() / found.trace), found.counts)


def _behind(products: Tensor, num_samples: int) -> Spectrum:
    with threadpool_limits(limits=1):
        eigenvalues = linalg.eigvalsh(products.cpu().numpy(), check_finite=False)
    return population_spectrum(np.clip(eigenvalues, 0, None), num_samples - 1)


def companion_bias(atoms: Vector, counts: Vector, companion: Complex, degrees: int) -> Complex:
    """What the companion Stieltjes transform of real Gaussian rows exceeds its limit by (Bai and Silverstein, 2004)."""
    scaled = atoms * companion[:, None]
    second = (counts * (scaled / (1 + scaled)) ** 2).sum(axis=1) / degrees
    third = companion * (counts * scaled**2 / (1 + scaled) ** 3).sum(axis=1) / degrees
    return third / (1 - second) ** 2 / degrees


def _places(sample: Vector) -> Complex:
    """Points in the upper half plane, as far from 0 as the eigenvalues and somewhat further on both sides."""
    moduli = np.geomspace(max(sample[-1], 1e-8 * sample[0]) / 10, 30 * sample[0], _POINTS)
    return (moduli[:, None] * np.exp(1j * _ANGLES)).ravel()


def _fit(atoms: Vector, places: Complex, companion: Complex, degrees: int) -> Vector:
    """Counts of each atom that solve sum_k counts_k h_k x / (1 + h_k x) = N (1 + z x), x the transform at z."""
    wanted = degrees * (1 + places * companion)
    design = atoms * companion[:, None] / (1 + atoms * companion[:, None])
    weights = 1 / np.abs(wanted)
    design, wanted = design * weights[:, None], wanted * weights
    rows = np.concatenate([design.real, design.imag])
    return optimize.nnls(rows, np.concatenate([wanted.real, wanted.imag]), maxiter=100 * len(atoms))[0]
