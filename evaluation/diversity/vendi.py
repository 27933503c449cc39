"""The Vendi score: how many different images a set amounts to, from the similarities within it alone."""

import math
from typing import Literal, NamedTuple

import torch
from scipy.special import ndtri
from torch import Tensor

from evaluation.features.features import as_double
from evaluation.statistics.intervals import CONFIDENCE, Estimate

Kernel = Literal["cosine", "linear"]
_NOTHING = 1e-12
"""Eigenvalues below this, of a sum of 1, are rounding."""


class _Spectrum(NamedTuple):
    """Eigenvalues of the similarities, with what each sample adds to each of them; n samples of R directions."""

    values: Tensor
    """(R,), positive, their sum 1."""
    shares: Tensor
    """(n, R): squared coordinates of the samples, over the mean squared length; their mean over n is `values`."""


def vendi_score(features: Tensor, *, kernel: Kernel = "cosine", order: float = 1.0) -> Estimate:
    """Exponential of the entropy of the similarities' eigenvalues (Friedman and Dieng, 2023), with its interval.

    `features` (N, D); 1 where all rows are equal, N where all are orthogonal. With the linear kernel the similarities
    are divided by their trace instead of each row by its length. `order` q weighs rare images less the larger it is
    (Pasarkar and Dieng, 2024); infinity looks at the largest eigenvalue alone. Rows of zeros have no direction: with
    the cosine kernel they are alike among themselves, and unlike all others. The eigenvalues are those of the D x D
    matrix of second moments where that is the smaller one. The interval is the infinitesimal jackknife's (Jaeckel,
    1972), about the expectation at this N, which grows with N: compare scores of equal N only.
    Raises ValueError for an order that is not positive, for no rows, for NaN, and with the linear kernel for zeros
    alone.
    """
    if not order > 0:
        raise ValueError(f"the order of a Vendi score must be positive, not {order:g}; 1 is the usual one")
    spectrum = _spectrum(_scaled(as_double(features), kernel))
    logarithm, influences = _entropy(spectrum, order)
    margin = 0.0
    if len(features) > 1:
        margin = float(ndtri((1 + CONFIDENCE) / 2)) * float(influences.std()) / math.sqrt(len(features))
    low, value, high = (math.exp(logarithm + shift) for shift in (-margin, 0.0, margin))
    return Estimate(value, min(value, max(1.0, low)), max(value, min(float(len(features)), high)))


def _scaled(rows: Tensor, kernel: Kernel) -> Tensor:
    """Rows whose products are the similarities, the mean of their squared lengths being 1."""
    if not len(rows) or not bool(rows.isfinite().all()):
        broken = int((~rows.isfinite()).any(dim=1).sum())
        raise ValueError(f"{broken} of {len(rows)} rows of features hold NaN or infinity: a Vendi score needs numbers")
    lengths = rows.norm(dim=1, keepdim=True)
    if kernel == "linear":
        if not bool((lengths > 0).any()):
            raise ValueError(f"all {len(rows)} rows of features are 0, and have no similarities by products")
        return rows / lengths.square().mean().sqrt()
    if bool((lengths > 0).all()) and bool(lengths.isfinite().all()):
        return rows / lengths
    sizes = rows.abs().amax(dim=1, keepdim=True)
    nothing = (sizes == 0).to(rows)
    rows = torch.cat([rows / (sizes + nothing), nothing], dim=1)  # of rows whose squares are out of range, and of zeros
    return rows / rows.norm(dim=1, keepdim=True)


def _spectrum(rows: Tensor) -> _Spectrum:
    """Of the smaller of the two matrices of products: D x D second moments, or N x N similarities over N."""
    if rows.shape[1] <= len(rows):
        values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
        coordinates = rows @ vectors
    else:
        values, vectors = torch.linalg.eigh(rows @ rows.T / len(rows))
        coordinates = vectors * (values.clamp(min=0) * len(rows)).sqrt()
    there = values > _NOTHING
    return _Spectrum(values[there], coordinates[:, there].square())


def _entropy(spectrum: _Spectrum, order: float) -> tuple[float, Tensor]:
    """Logarithm of the score, and (N,) derivatives with respect to the weights of the samples."""
    values, shares = spectrum
    lengths = shares.sum(dim=1)
    if order == 1:
        entropy = -float(torch.xlogy(values, values).sum())
        return entropy, -shares @ values.log() - lengths * entropy
    if math.isinf(order):
        top = float(values.amax())
        return -math.log(top), lengths - shares[:, int(values.argmax())] / top
    powers = values**order
    total = float(powers.sum())
    moved = shares @ (powers / values) / total - lengths
    return math.log(total) / (1 - order), order / (1 - order) * moved
