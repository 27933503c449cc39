"""The Fréchet distance between two sets of features, or between the means and covariances of two.

The distance is |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). Where neither S is singular, S1 S2 v = p v is a
symmetric definite problem and the last trace is the sum of the roots of p. With S1 = A'A and S2 = B'B it is the sum of
the singular values of AB' too, which is exact for singular covariances as well, at several times the cost.
"""

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from evaluation.features.features import as_double, check_features
from evaluation.features.moments import Moments, centred
from evaluation.fidelity.factors import Matrix, factor_of_covariance, factor_of_rows

_DOUBTFUL = 1e-12
"""A smallest eigenvalue below this share of the largest may be rounding."""


def frechet_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """Measure the squared 2-Wasserstein distance of two fitted Gaussians (Heusel et al., 2017).

    Both are (N, D), at least two rows each. Everything is float64, covariances divide by N - 1, nothing is added to a
    diagonal, and no matrix root is taken. With fewer than D + 1 rows the value is finite and exact for the samples but
    badly biased: see `frechet_floor`. Raises ValueError for features that do not match or are not finite.
    """
    real, fake = as_double(real_features), as_double(fake_features)
    check_features(real, fake, least=2)
    # A feature that never changes in one set adds nothing to the trace of the product.
    alive = varies(real) & varies(fake)
    gap = float((real.mean(dim=0) - fake.mean(dim=0)).square().sum())
    spread = float(real.var(dim=0).sum() + fake.var(dim=0).sum())
    return max(0.0, gap + spread - 2 * _root_of_features(real[:, alive], fake[:, alive]))


def frechet_of_moments(real: Moments, fake: Moments) -> float:
    """The distance of streamed features, at least two of each; see `frechet_from_statistics`."""
    return frechet_from_statistics((real.mean, real.covariance()), (fake.mean, fake.covariance()))


def frechet_from_statistics(real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> float:
    """The distance between precomputed means (D,) and covariances (D, D), as pytorch-fid and clean-fid save them.

    Of singular covariances the eigenvalues below rounding are dropped; the features themselves would give some digits
    more. Raises ValueError where shapes do not match or something is not finite.
    """
    (real_mean, first), (fake_mean, second) = ((as_double(part) for part in pair) for pair in (real, fake))
    if not (first.shape == second.shape == (len(real_mean), len(fake_mean))):
        raise ValueError(
            f"covariances {tuple(first.shape)} and {tuple(second.shape)} of means with {len(real_mean)} and "
            f"{len(fake_mean)} entries: use statistics of one extractor"
        )
    _check_finite(real_mean, first, fake_mean, second)
    alive = (first.diagonal() > 0) & (second.diagonal() > 0)
    kept = [first, second] if bool(alive.all()) else [part[alive][:, alive] for part in (first, second)]
    covariances = [part.cpu().numpy() for part in kept]
    root = root_of_definite(*covariances)
    if root is None:
        root = _root_of_factors(*(factor_of_covariance(covariance) for covariance in covariances))
    gap = float((real_mean - fake_mean.to(real_mean.device)).square().sum())
    return max(0.0, gap + float(first.trace()) + float(second.trace()) - 2 * root)


def frechet_to_statistics(real: tuple[Tensor, Tensor], fake_features: Tensor) -> float:
    """The distance of features (N, D) to precomputed statistics, without a covariance of the features.

    The roots of the N x N products of the rows through the real covariance are those of the trace: for no more rows
    than columns. Raises ValueError where something is not finite.
    """
    real_mean, covariance = (as_double(part) for part in real)
    _check_finite(real_mean, covariance)
    fake_mean, rows = centred(fake_features)
    products = (rows @ covariance.to(rows.device) @ rows.T / (len(rows) - 1)).cpu().numpy()
    with threadpool_limits(limits=1):
        squares = linalg.eigvalsh(products, check_finite=False)
    squares = squares[squares > len(squares) * np.finfo(np.float64).eps * squares[-1]]
    gap = float((real_mean.to(rows.device) - fake_mean).square().sum())
    spread = float(covariance.trace()) + float(rows.square().sum()) / (len(rows) - 1)
    return max(0.0, gap + spread - 2 * float(np.sqrt(squares).sum()))


def _check_finite(*parts: Tensor) -> None:
    if not all(bool(part.isfinite().all()) for part in parts):
        raise ValueError("statistics hold NaN or infinity: make them again, from two images at least")


def varies(features: Tensor) -> Tensor:
    """Which columns of (N, D) are not constant: (D,) bool."""
    return features.amax(dim=0) > features.amin(dim=0)


def root_of_definite(first: Matrix, second: Matrix) -> float | None:
    """Trace of (S1 S2)^(1/2), or None where one of them is singular: its zeros would come out as roots of rounding.

    LAPACK gets one thread: with more, on shared cores, it was measured 10 to 60 times slower.
    """
    if len(first) == 0:
        return 0.0
    try:
        with threadpool_limits(limits=1):
            squares = linalg.eigvalsh(second.T, first.T, type=2, driver="gv", check_finite=False)  # type: ignore[arg-type]
            if squares[0] < _DOUBTFUL * squares[-1]:
                linalg.cholesky(second, check_finite=False)
    except linalg.LinAlgError:
        return None
    return float(np.sqrt(np.clip(squares, 0, None)).sum())


def _root_of_features(real: Tensor, fake: Tensor) -> float:
    rows = [features - features.mean(dim=0) for features in (real, fake)]
    if min(len(real), len(fake)) > real.shape[1]:
        first, second = ((part.T @ part / (len(part) - 1)).cpu().numpy() for part in rows)
        root = root_of_definite(first, second)
        if root is not None:
            return root
    return _root_of_factors(*(factor_of_rows(part.cpu().numpy()) for part in rows))


def _root_of_factors(first: Matrix, second: Matrix) -> float:
    with threadpool_limits(limits=1):
        return float(linalg.svdvals(first @ second.T, check_finite=False, overwrite_a=True).sum())
