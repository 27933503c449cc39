"""Divergences between two histograms over classes, with intervals that hold at small counts.

Counts are (..., C) tensors, real first. A plug-in divergence of two samples of the same distribution is not 0: its
expectation there is simulated, and the interval is about the expectation at these sample sizes.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.random import seeded
from evaluation.statistics.growing_interval import growing_interval
from evaluation.statistics.intervals import NORMAL, UNKNOWN, Estimate

SMOOTHING = 0.5
"""Added to every count where a class without a fake would make the divergence infinite (Krichevsky, Trofimov, 1981)."""
_DRAWS = 400
"""Simulated pairs of histograms; the standard error of their variance is 7 %."""
_SELDOM = 0.05
"""Share of simulated divergences that may be infinite."""

Statistic = Callable[[Tensor, Tensor], Tensor]


class Divergence(NamedTuple):
    """A divergence with its interval; `null` is its expectation for a perfect generator at these sample sizes."""

    estimate: Estimate
    null: float


def reverse_divergence(real: Tensor, fake: Tensor) -> Tensor:
    """KL(fake || real) in nats: infinite where fakes have a class that no real image has."""
    return _kl(_shares(fake), _shares(real))


def forward_divergence(real: Tensor, fake: Tensor) -> Tensor:
    """KL(real || fake) in nats, with half an image added to every class, so that it is finite for missing classes."""
    return _kl(_shares(real + SMOOTHING), _shares(fake + SMOOTHING))


def variation(real: Tensor, fake: Tensor) -> Tensor:
    """Total variation: the share of images that would have to change class, in [0, 1]."""
    return (_shares(real) - _shares(fake)).abs().sum(dim=-1) / 2


def reverse_estimate(real: Tensor, fake: Tensor, *, seed: int = 0) -> Divergence:
    """KL(fake || real) of two (C,) histograms; NaN where one is empty.

    No interval where it is infinite, or would often be by chance: where classes are rare among the real images.
    """
    return _divergence(reverse_divergence, real, fake, _kl_noise(fake, real), seed)


def forward_estimate(real: Tensor, fake: Tensor, *, seed: int = 0) -> Divergence:
    """The smoothed KL(real || fake) of two (C,) histograms; NaN where one is empty."""
    return _divergence(forward_divergence, real, fake, _kl_noise(real, fake, SMOOTHING), seed)


def variation_estimate(real: Tensor, fake: Tensor, *, seed: int = 0) -> Divergence:
    """Total variation of two (C,) histograms.

    Its noise grows from that of equal histograms to that of a sum with fixed signs, and no further.
    """
    if not real.sum() or not fake.sum():
        return Divergence(Estimate(math.nan, *UNKNOWN), math.nan)
    value = float(variation(real, fake))
    null, second = _null(variation, real, fake, seed)
    signs = (_shares(fake) - _shares(real)).sign()
    linear = (_variance(fake, signs) + _variance(real, signs)) / 4
    low, high = growing_interval(value - null, second=second, raw_slope=linear / null if null > 0 else 0.0)
    most = NORMAL * math.sqrt(max(linear, second))
    estimate = Estimate(value, max(0.0, null + low, value - most), min(1.0, null + high, value + most))
    return Divergence(estimate, null)


def equal_shares_estimate(counts: Tensor, *, seed: int = 0) -> Divergence:
    """KL(counts || equal shares) of a (C,) histogram in nats, from 0 to log C; NaN where it is empty."""
    most = math.log(len(counts))
    found = _divergence(_from_equal, counts.new_ones(len(counts)), counts, _entropy_noise(counts), seed)
    low, high = max(0.0, found.estimate.low), min(most, found.estimate.high)
    return (
        found if math.isnan(found.estimate.low) else Divergence(Estimate(found.estimate.value, low, high), found.null)
    )


def _from_equal(real: Tensor, fake: Tensor) -> Tensor:
    shares = _shares(fake)
    return _kl(shares, torch.full_like(shares, 1 / shares.shape[-1]))


def _divergence(statistic: Statistic, real: Tensor, fake: Tensor, noise: float, seed: int) -> Divergence:
    if not real.sum() or not fake.sum():
        return Divergence(Estimate(math.nan, *UNKNOWN), math.nan)
    value = max(0.0, float(statistic(real, fake)))
    null, second = _null(statistic, real, fake, seed)
    if not math.isfinite(value) or not math.isfinite(null):
        return Divergence(Estimate(value, *UNKNOWN), null)
    raw = noise / value if value > 0 else 0.0
    low, high = growing_interval(value - null, second=second, raw_slope=raw)
    return Divergence(Estimate(value, max(0.0, null + low), null + high), null)


def _null(statistic: Statistic, real: Tensor, fake: Tensor, seed: int) -> tuple[float, float]:
    """Mean and variance of a statistic of two histograms of these sizes from one distribution, the pooled one.

    What is infinite by chance is left out; where that is more than seldom both are infinite, as the expectation is.
    """
    alone = statistic is _from_equal
    pooled = _shares(real) if alone else _shares(real + fake)
    drawn = _multinomial(pooled, int(fake.sum()), seed, stream=1)
    others = real if alone else _multinomial(pooled, int(real.sum()), seed, stream=0)
    values = statistic(others, drawn)
    values = values[values.isfinite()]
    if len(values) < (1 - _SELDOM) * _DRAWS:
        return math.inf, math.inf
    return float(values.mean()), float(values.var())


def _multinomial(shares: Tensor, count: int, seed: int, *, stream: int) -> Tensor:
    """Draw _DRAWS multinomial histograms of `count` images each, (_DRAWS, C), by conditional binomials."""
    left = torch.full((_DRAWS,), float(count), dtype=torch.float64)
    rest = shares.flip(0).cumsum(0).flip(0)
    drawn = torch.zeros(_DRAWS, len(shares), dtype=torch.float64)
    with seeded(seed, stream):
        for number in shares.nonzero().flatten().tolist():
            part = min(1.0, float(shares[number] / rest[number]))
            drawn[:, number] = torch.binomial(left, torch.full_like(left, part))
            left = left - drawn[:, number]
    return drawn


def _kl(first: Tensor, second: Tensor) -> Tensor:
    """KL(first || second) of shares (..., C); 0 log 0 is 0."""
    return torch.where(first > 0, first * (first / second).log(), 0.0).sum(dim=-1)


def _kl_noise(first: Tensor, second: Tensor, smoothing: float = 0.0) -> float:
    """First-order (delta method) variance of the plug-in KL(first || second)."""
    p, q = _shares(first + smoothing), _shares(second + smoothing)
    logarithm = torch.where((p > 0) & (q > 0), (p / q).log(), 0.0)
    return _variance(first, logarithm) + _variance(second, torch.where(q > 0, p / q, 0.0))


def _entropy_noise(counts: Tensor) -> float:
    shares = _shares(counts)
    return _variance(counts, torch.where(shares > 0, shares.log(), 0.0))


def _variance(counts: Tensor, values: Tensor) -> float:
    """Variance of the mean of values (C,) over the images of a histogram."""
    shares = _shares(counts)
    return float((shares * values.square()).sum() - (shares * values).sum().square()) / max(1.0, float(counts.sum()))


def _shares(counts: Tensor) -> Tensor:
    counts = counts.double()
    return counts / counts.sum(dim=-1, keepdim=True).clamp(min=1e-300)
