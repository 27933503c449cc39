"""How far neighbourhood scores would vary with new real and new fake samples, from splits of the samples at hand.

Scores by nearest neighbours are not smooth: a bootstrap repeats rows, which become each other's neighbours, and a
jackknife counts what q samples do together q times (Efron and Stein, 1981), here up to fourfold. So both sets are dealt
into halves. The two halves of a split are independent, and half the mean squared difference of their scores is an
unbiased estimate of the variance at half the size (McCarthy, 1969, on half-samples in surveys).
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.random import permutation
from evaluation.intervals import deal
from evaluation.neighbours import others
from evaluation.tiles import Cloud, clouds, parts, tile

MOST = 4096
"""Samples of each set that are split: with more only the interval's own noise would shrink."""
_KEPT = 32
"""Neighbours known of each sample: the 5th within a half is one of them but for 1 in 100,000."""
_BITS = 64
_ROWS = 256
_STREAM = 0x5917

Bits = NDArray[np.uint64]


class DesignEffects(NamedTuple):
    """How much more the scores vary than shares of independent samples would (Kish, 1965); NaN at shares of 0 or 1."""

    precision: float
    recall: float
    coverage: float
    density: float
    """Of density, for which there is no such share: variance over new real samples, over its square, times N."""


class _Near:
    """The neighbours of each sample in its own set."""

    def __init__(self, cloud: Cloud) -> None:
        squared, indices = others(cloud, min(_KEPT, len(cloud) - 1))
        self.squared, self.indices = squared.cpu().numpy(), indices.cpu().numpy()

    def balls(self, together: Bits, k: int) -> Bits:
        """Bit s at [i, t]: fewer than k of the t nearest of sample i are with it in split s, (N, kept) to (N, kept + 1).

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

    Sets beyond `MOST` samples are cut to so many at random, in proportion; the effect hardly depends on the size.
    """
    real, fake = _cut(real, fake, seed)
    real_cloud, fake_cloud = clouds(real, fake)
    real_near, fake_near = _Near(real_cloud), _Near(fake_cloud)
    real_side, fake_side, kept = _sides(len(real), 2 * seed), _sides(len(fake), 2 * seed + 1), _all_but_one(real, seed)
    real_together = ~(real_side[:, None] ^ real_side[real_near.indices])
    fake_together = ~(fake_side[:, None] ^ fake_side[fake_near.indices])
    manifolds, fake_balls = real_near.balls(real_together, manifold), fake_near.balls(fake_together, manifold)
    balls, kept_balls = real_near.balls(real_together, density), real_near.balls(kept[real_near.indices], density)

    precise, recalled, covered = (np.zeros((2, count), np.uint64) for count in (len(fake), len(real), len(real)))
    inside = np.zeros(_BITS)
    for row, column, squared in _close_pairs(fake_cloud, fake_near, real_cloud, real_near):
        rank = real_near.rank(column, squared)
        apart = fake_side[row] ^ real_side[column]
        in_manifold, in_ball = manifolds[column, rank], balls[column, rank]
        in_fake = fake_balls[row, fake_near.rank(row, squared)]
        for pairing, paired in enumerate((~apart, apart)):
            np.bitwise_or.at(precise[pairing], row, in_manifold & paired)
            np.bitwise_or.at(recalled[pairing], column, in_fake & paired)
            np.bitwise_or.at(covered[pairing], column, in_ball & paired)
        inside += _unpacked(kept_balls[column, rank] & kept[column]).sum(axis=0)
    return DesignEffects(
        _effect(precise, fake_side), _effect(recalled, real_side), _effect(covered, real_side), _relative(inside, kept)
    )


def _close_pairs(fake, fake_near, real, real_near):  # type: ignore[no-untyped-def]
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


def _relative(inside: NDArray[np.float64], kept: Bits) -> float:
    """Jackknife variance of counts with one group of real samples left out each, over their square, times N."""
    groups = min(_BITS, len(kept))
    counts = inside[:groups]
    if not counts.any():
        return float("nan")
    return float(counts.var() * (groups - 1) / counts.mean() ** 2) * len(kept)


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


def _all_but_one(real: Tensor, seed: int) -> Bits:
    """Bit g: the sample is not of group g."""
    group = deal(len(real), min(_BITS, len(real)), seed=seed, stream=_STREAM + 70).numpy().astype(np.uint64)
    return ~(np.uint64(1) << group)


def _packed(flags: NDArray[np.generic]) -> Bits:
    return np.packbits(flags.astype(bool), axis=-1, bitorder="little").view(np.uint64)[..., 0]


def _unpacked(bits: Bits) -> NDArray[np.uint8]:
    return np.unpackbits(np.ascontiguousarray(bits)[..., None].view(np.uint8), axis=-1, bitorder="little")
