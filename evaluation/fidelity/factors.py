"""Factors of covariances with no more rows than their rank, so that few images of many features stay small."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

Matrix = NDArray[np.float64]


def factor_of_rows(rows: Matrix) -> Matrix:
    """Any A with A'A = covariance and as few rows as possible, from deviations (N, D) from the mean."""
    scaled = rows / math.sqrt(len(rows) - 1)
    if len(scaled) <= scaled.shape[1]:
        return scaled
    return np.asarray(linalg.qr(scaled, mode="r", check_finite=False)[0], dtype=np.float64)[: scaled.shape[1]]


def factor_of_covariance(covariance: Matrix) -> Matrix:
    """A (R, D) with A'A = covariance (D, D) up to rounding, R being its rank: a pivoted Cholesky factor (Higham, 2002).

    Its work is D R^2, where eigenvectors would take several D^3.
    """
    with threadpool_limits(limits=1):
        found, pivots, rank, _ = linalg.lapack.dpstrf(covariance)
    factor = np.empty((rank, len(covariance)))
    factor[:, pivots - 1] = np.triu(found)[:rank]
    return factor
