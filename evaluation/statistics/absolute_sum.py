"""Sums of absolute means (calibration error, total variation): estimates with their bias and interval."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.random import normal
from evaluation.statistics.intervals import CONFIDENCE, Estimate

DRAWS = 2000


class AbsoluteSum(NamedTuple):
    """A sum of absolute values, and its expectation by chance alone."""

    estimate: Estimate
    """The interval is about the sum's expectation at these sample sizes."""
    floor: float
    """Expectation where every mean is 0 but is measured with this covariance."""


def absolute_sum(means: Tensor, covariance: Tensor, *, seed: int = 0) -> AbsoluteSum:
    """Sum |S_k| of nearly normal means S (K,) with the covariance (K, K) of these means, in float64.

    An absolute value is not smooth near 0, so neither the jackknife nor a t interval fits. The sum is simulated under
    N(g, covariance) instead, a parametric bootstrap (Efron and Tibshirani, 1993), with g the means shrunk by their
    noise, since measured means are larger in size than true ones. The quantiles are reflected about the sum (the basic
    bootstrap interval), which keeps the skewness near 0.
    """
    means, covariance = means.double().cpu(), covariance.double().cpu()
    values, vectors = torch.linalg.eigh(covariance)
    noise = normal(seed, torch.arange(DRAWS), (len(means),), dtype=torch.float64) * values.clamp(min=0).sqrt()
    noise = noise @ vectors.T
    shrunk = (means.square() - covariance.diagonal()).clamp(min=0).sqrt() * means.sign()
    sums = (shrunk + noise).abs().sum(dim=1)
    tails = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    below, above = (torch.quantile(sums, tails) - sums.mean()).tolist()
    value = float(means.abs().sum())
    floor = float(covariance.diagonal().clamp(min=0).sqrt().sum()) * math.sqrt(2 / math.pi)
    return AbsoluteSum(Estimate(value, max(0.0, value - above), value - below), floor)
