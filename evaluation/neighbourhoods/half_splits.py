"""The sampling variance of neighbourhood scores over new real and new fake samples, estimated from half-samples.

Scores by nearest neighbours are not smooth: a bootstrap repeats rows, which become each other's neighbours, and a
jackknife counts interactions of q samples q times (Efron and Stein, 1981), here up to fourfold. So both sets are split
into halves at random. The two halves are independent, and half the mean squared difference of their scores is an
unbiased estimate of the variance at half the size (McCarthy, 1969, on half-samples in surveys).
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.random import permutation
from evaluation.features.neighbours import others
from evaluation.features.tiles import Cloud, clouds, parts, tile
from evaluation.statistics.intervals import deal

MOST = 2048
"""Samples of each set that are split at most: more would only reduce the noise of the variance estimate."""
_KEPT = 48
"""Neighbours known of each sample. The 5th within its half is one of them always, that within its quarter 994 in 1000
times; else the ball ends early, which only the interval feels."""
_BITS = 64
_ROWS = 256
_STREAM = 0x5917
_STEEPEST = 3.0
"""Bound on the growth of N times the variance from a quarter to half of the samples, against the noise of both."""

Bits = NDArray[np.uint64]


class DesignEffects(NamedTuple):
    """How much more the scores vary than shares of independent samples would (Kish, 1965); NaN at shares of 0 or 1."""

    precision: float
    recall: float
    coverage: float
    density: float
    """Of density, which is no share: variance over new real samples alone, over its square, times N."""


class Near:
    """The neighbours of each sample in its own set."""

    def __init__(self, cloud: Cloud) -> None:
        squared, indices = others(cloud, min(_KEPT, len(cloud) - 1))
        self.squared, self.indices = squared.cpu().numpy(), indices.cpu().numpy()

    def together(self, side: Bits) -> Bits:
        """Bit s at [i, t]: the t-th nearest sample to i is on its side in split s; (N, kept)."""
        return ~(side[:, None] ^ side[self.indices])

    def balls(self, together: Bits, k: int) -> Bits:
        """Bit s at [i, t]: of the t nearest to sample i, fewer than k are with it in split s; (N, kept + 1).

        So a point that has t of them nearer to i than itself is in the ball around i in that split.
        """
        before = np.cumsum(_unpacked(together), axis=1, dtype=np.uint8) < k
        first = np.ones_like(before[:, :1])
        return _packed(np.concatenate([first, before], axis=1))

    def rank(self, samples: NDArray[np.int64], squared: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many neighbours of each of the (P,) samples are nearer to it than the (P,) squared distances."""
        return np.count_nonzero(self.squared[samples] < squared[:, None], axis=1)


def design_effects(real: Tensor, fake: Tensor, *, manifold: int, density: int, seed: int) -> DesignEffects:
    """Deal (N, D) real and (M, D) fake features into halves 64 times, pair these both ways, and compare their scores.

    Sets beyond `MOST` samples are cut to so many at random, in proportion: the effects hardly depend on the size.
    """
    real, fake = _cut(real, fake, seed)
    real_cloud, fake_cloud = clouds(real, fake)
    real_near, fake_near = Near(real_cloud), Near(fake_cloud)
    real_side, fake_side = _sides(len(real), 2 * seed), _sides(len(fake), 2 * seed + 1)
    together = real_near.together(real_side)
    manifolds, halves = real_near.balls(together, manifold), real_near.balls(together, density)
    quarters = real_near.balls(together & real_near.together(_other(real_side)), density)
    fake_balls = fake_near.balls(fake_near.together(fake_side), manifold)

    precise, recalled, covered = (np.zeros((2, count), np.uint64) for count in (len(fake), len(real), len(real)))
    in_halves, in_quarters, inside = np.zeros((2, 2, _BITS)), np.zeros((2, 4, _BITS)), 0
    for row, column, squared in _close_pairs(fake_cloud, fake_near, real_cloud, real_near):
        rank = real_near.rank(column, squared)
        apart = fake_side[row] ^ real_side[column]
        in_manifold, in_half, in_quarter = (balls[column, rank] for balls in (manifolds, halves, quarters))
        in_fake = fake_balls[row, fake_near.rank(row, squared)]
        for pairing, paired in enumerate((~apart, apart)):
            np.bitwise_or.at(precise[pairing], row, in_manifold & paired)
            np.bitwise_or.at(recalled[pairing], column, in_fake & paired)
            np.bitwise_or.at(covered[pairing], column, in_half & paired)
        inside += int((rank < density).sum())
        in_halves += _counts(in_half, fake_side[row], real_side[column])
        in_quarters += _counts(in_quarter, fake_side[row], real_side[column], _other(real_side[column]))
    variance = _variance(in_halves, in_quarters) / (inside / 2) ** 2 if inside else math.nan
    return DesignEffects(
        _effect(precise, fake_side), _effect(recalled, real_side), _effect(covered, real_side), variance * len(real)
    )


def _close_pairs(
    fake: Cloud, fake_near: Near, real: Cloud, real_near: Near
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Fake and real samples that are within reach of one another in any split, with their squared distance."""
    reach_real = torch.from_numpy(real_near.squared[:, -1]).to(real.features.device)
    reach_fake = torch.from_numpy(fake_near.squared[:, -1]).to(real.features.device)
    for rows in parts(len(fake), _ROWS):
        squared = tile(fake, rows, real, slice(0, len(real)), torch.float64).lower
        row, column = (squared <= torch.maximum(reach_fake[rows, None], reach_real)).nonzero(as_tuple=True)
        yield (row + rows.start).cpu().numpy(), column.cpu().numpy(), squared[row, column].cpu().numpy()


def _effect(found: Bits, side: Bits) -> float:
    """Variance of a share between independent halves over p (1 - p) / n, from (2, N) bits of two pairings."""
    flags, first = _unpacked(found).astype(bool), _unpacked(side).astype(bool)
    halves = [(flags & half).sum(axis=1) / half.sum(axis=0) for half in (first, ~first)]
    share = float(np.mean(halves))
    if share in (0, 1):
        return float("nan")
    variance = float(np.mean((halves[0] - halves[1]) ** 2)) / 2
    return variance * (len(side) / 2) / (share * (1 - share))


def _counts(inside: Bits, fake_side: Bits, *real_sides: Bits) -> NDArray[np.float64]:
    """Pairs in each split by the side of the fake sample, then by the part that the real one is in: (2, parts, 64)."""
    found = [
        _unpacked(functools.reduce(np.bitwise_and, sides, inside)).sum(axis=0, dtype=np.float64)
        for sides in itertools.product(*((side, ~side) for side in (fake_side, *real_sides)))
    ]
    return np.stack(found).reshape(2, -1, _BITS)


def _variance(halves: NDArray[np.float64], quarters: NDArray[np.float64]) -> float:
    """Variance over new real samples, at their full number, of the count of pairs with half of the fakes.

    The parts' counts with one half of the fakes vary together with those with the other half by the real samples alone.
    In many dimensions, where few samples are neighbours of very many, N times the variance still grows with N: as it
    grew from quarters to halves, it is taken to grow once more.
    """
    half, quarter = (_covariance(counts) for counts in (halves, quarters))
    if half <= 0:
        return 0.0
    return half * (min(max(half / quarter, 1.0), _STEEPEST) if quarter > 0 else 1.0)


def _covariance(counts: NDArray[np.float64]) -> float:
    """Covariance, over parts, of (2, parts, splits) counts, averaged over splits; over the parts: of their mean."""
    apart = counts - counts.mean(axis=1, keepdims=True)
    num_parts = counts.shape[1]
    return float((apart[0] * apart[1]).sum(axis=0).mean()) / (num_parts - 1) / num_parts


def _cut(real: Tensor, fake: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    share = min(1.0, MOST / max(len(real), len(fake)))
    drawn = []
    for stream, features in enumerate((real, fake)):
        count = max(min(len(features), 2 * _KEPT), int(share * len(features)))
        chosen = permutation(seed, len(features), stream=_STREAM + stream)[:count] if share < 1 else slice(None)
        drawn.append(features[chosen])
    return drawn[0], drawn[1]


def _sides(count: int, seed: int) -> Bits:
    """Bit s of (count,) numbers: which half a sample is dealt to in split s."""
    return _packed(np.stack([deal(count, 2, seed=seed, stream=_STREAM + 2 + s).numpy() for s in range(_BITS)], axis=1))


def _other(side: Bits) -> Bits:
    """The same splits in another order: together with `side` it deals into quarters."""
    return (side << np.uint64(1)) | (side >> np.uint64(_BITS - 1))


def _packed(flags: NDArray[np.generic]) -> Bits:
    return np.packbits(flags.astype(bool), axis=-1, bitorder="little").view(np.uint64)[..., 0]


def _unpacked(bits: Bits) -> NDArray[np.uint8]:
    return np.unpackbits(np.ascontiguousarray(bits)[..., None].view(np.uint8), axis=-1, bitorder="little")
