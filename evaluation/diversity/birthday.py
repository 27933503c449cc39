"""The birthday paradox test: how many different images a generator draws, from how soon one comes twice."""

import math

import torch
from scipy import stats
from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import TooFewError, as_double, check_features
from evaluation.features.neighbours import nearest_others
from evaluation.statistics.intervals import CONFIDENCE, Estimate

RANK = 10
"""The pair of real images that the level is taken from. The nearest pair's distance is random by a factor, and 0 in
data with one image stored twice."""
NEARER = 0.5
"""Share of that pair's distance at which two images are near-duplicates: blurred or faint images lie somewhat nearer to
each other than real ones without being the same."""
MOST_PAIRED = 5000
"""Images of a set that are paired; 12 million pairs tell up to a million different images."""
_CHUNK = 1024
_TIE = 1e-7
"""Distances are one if they differ by less, relative to the largest length: what rounding in their fast form makes."""
_PAIRED = (1 << 21) + 2
"""Stream of attacks.random for the images that are paired."""


def duplicate_level(real: Tensor) -> float:
    """Distance of near-duplicates: half that of the pair of rank `RANK` among real images, from (N, D) features.

    Raises ValueError where there are fewer pairs.
    """
    distances, _ = nearest_others(real, min(RANK, max(1, len(real) - 1)))
    if distances.numel() < 2 * RANK:
        raise TooFewError(f"{len(real)} real images have fewer than {RANK} pairs: near-duplicates need more of them")
    return NEARER * float(
        distances.flatten().kthvalue(2 * RANK).values
    )  # each of those pairs is found from both its ends


def support_size(fake: Tensor, level: float) -> Estimate:
    """Number of different images that a generator of (M, D) features draws (Arora and Zhang, 2018), with its interval.

    One over the probability that two fakes are at most `level` apart, over all pairs: the number itself where all
    images are equally likely, and less where some are rare. A batch of s images holds a near-duplicate with probability
    1/2 where s^2 / (2 ln 2) is that number. Without a near-duplicate the value is infinite, its lower end is not. The
    interval is the exact one of a count (Garwood, 1936), widened where images differ in their chance, so that pairs
    that share an image are no longer independent; it holds given the level.
    """
    duplicates = near_duplicates(fake, level).double()
    count = len(fake)
    pairs, found = count * (count - 1) / 2, float(duplicates.sum()) / 2
    if found == 0:
        return Estimate(math.inf, pairs / _garwood(0.0)[1], math.inf)
    spread = _dispersion(duplicates)
    low, high = _garwood(found / spread)
    return Estimate(pairs / found, pairs / (high * spread), pairs / (low * spread))


def batch_of_half(support: float) -> float:
    """Size of the batch that holds a near-duplicate with probability 1/2, from the support size."""
    return math.sqrt(2 * math.log(2) * support)


def near_duplicates(features: Tensor, level: float) -> Tensor:
    """How many other samples of (N, D) are at most `level` away from each: (N,) int64, on the device."""
    rows = as_double(features)
    rows = rows - rows.mean(dim=0)
    bound = level + _TIE * float(rows.norm(dim=1).amax())
    counts = [(torch.cdist(part, rows) <= bound).sum(dim=1) - 1 for part in rows.split(_CHUNK)]
    return torch.cat(counts)


def paired(features: Tensor, *, seed: int = 0) -> Tensor:
    """The samples that are paired: all of them, or `MOST_PAIRED` at random. ValueError where there is no pair."""
    check_features(features, features, least=2)
    if len(features) <= MOST_PAIRED:
        return features
    return features[permutation(seed, len(features), stream=_PAIRED)[:MOST_PAIRED].to(features.device)]


def _garwood(count: float) -> tuple[float, float]:
    """Exact interval of a Poisson mean from a count, by the gamma distribution."""
    low = float(stats.gamma.ppf((1 - CONFIDENCE) / 2, count)) if count else 0.0
    return low, float(stats.gamma.ppf((1 + CONFIDENCE) / 2, count + 1))


def _dispersion(duplicates: Tensor) -> float:
    """Variance of the number of near-duplicate pairs over its mean, from (M,) near-duplicates of each sample; >= 1.

    More than 1 where a sample that has one near-duplicate is likelier to have another (Hoeffding, 1948).
    """
    count = len(duplicates)
    if count < 3:
        return 1.0
    pair = float(duplicates.sum()) / (count * (count - 1))
    triple = float((duplicates * (duplicates - 1)).sum()) / (count * (count - 1) * (count - 2))
    return max(1.0, 1 - pair + 2 * (count - 2) * (triple - pair**2) / pair)
