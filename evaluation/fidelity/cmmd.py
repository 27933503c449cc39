"""CMMD: the squared maximum mean discrepancy of CLIP embeddings with a Gaussian kernel, a thousandfold."""

from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.features.features import as_double, check_features
from evaluation.fidelity.kernel import variances
from evaluation.fidelity.kernel_pairs import Prepared, across, within
from evaluation.statistics.growing_interval import growing_interval
from evaluation.statistics.intervals import UNKNOWN, Estimate

SIGMA = 10.0
SCALE = 1000.0
_FEWEST = 4
"""Samples of each set that an interval takes."""


class Cmmd(NamedTuple):
    """The unbiased estimate with its interval, and the paper's, which counts each sample as its own neighbour."""

    unbiased: Estimate
    biased: float


def cmmd(real_features: Tensor, fake_features: Tensor, *, normalise: bool = True) -> Cmmd:
    """Compare image embeddings by 1000 MMD^2 with the kernel exp(-|x - y|^2 / 200) (Jayasumana et al., 2024).

    Both are (N, D), at least two rows each; `normalise` scales each to length 1 as the authors do. The unbiased value
    is 0 on average for equal distributions and may lie below it; the biased one, which the authors print, never does
    and is larger by about 1000 (1/N + 1/M) times the mean of 1 - k. The kernel is nearly 1 everywhere, so it is k - 1
    that is added up, over all pairs, in tiles. The interval is about the limit of many samples, as that of the kernel
    distance. Raises ValueError for features that do not match, are not finite, or are 0 and have no direction.
    """
    check_features(real_features, fake_features, least=2)
    real, fake = _prepared(real_features, fake_features, normalise)
    sums = within(real, torch.expm1), within(fake, torch.expm1), across(real, fake, torch.expm1)
    n, m = len(real_features), len(fake_features)
    inside, outside = [float(part.rows.sum()) for part in sums[:2]], float(sums[2].rows.sum())
    biased = inside[0] / n**2 + inside[1] / m**2 - 2 * outside / (n * m)
    value = inside[0] / (n * (n - 1)) + inside[1] / (m * (m - 1)) - 2 * outside / (n * m)
    if min(n, m) < _FEWEST:
        return Cmmd(Estimate(SCALE * value, *UNKNOWN), SCALE * biased)
    parts = variances(real, fake, *sums)
    low, high = growing_interval(value, second=parts.second, raw_slope=parts.witness, first=parts.first)
    return Cmmd(Estimate(SCALE * value, SCALE * low, SCALE * high), SCALE * biased)


def _prepared(real: Tensor, fake: Tensor, normalise: bool) -> list[Prepared]:
    """Products of the values with both offsets added are the exponents.

    About a common centre they are small, so that float32 products of float32 features cost less than 1e-8 of them.
    """
    dtype = torch.float64 if real.dtype == fake.dtype == torch.float64 else torch.float32
    sets = [as_double(features) for features in (real, fake)]
    if normalise:
        sets = [_of_length_1(features) for features in sets]
    centre = (sets[0].mean(dim=0) + sets[1].mean(dim=0)) / 2
    scaled = [(features - centre) / SIGMA for features in sets]
    return [Prepared(rows.to(dtype), -rows.square().sum(dim=1) / 2, rows.new_zeros(len(rows))) for rows in scaled]


def _of_length_1(features: Tensor) -> Tensor:
    lengths = features.norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise ValueError("an embedding is 0 and has no direction: the images or the encoder are broken")
    return features / lengths
