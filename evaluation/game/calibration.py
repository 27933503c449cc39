"""Calibration of a discriminator's probabilities: reliability curve, calibration error and Brier score.

Real and fake images count as equally frequent whatever their numbers, as the discriminator's loss has them. Under the
cross-entropy losses sigmoid(logit) should then be the share of real images among all that get this logit.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.statistics.absolute_sum import AbsoluteSum, absolute_sum
from evaluation.statistics.intervals import Estimate
from evaluation.statistics.welch import sum_of_means

BINS = 15
"""Of equal width, as Guo et al. (2017) have them."""


class Reliability(NamedTuple):
    """Predicted probability of "real" and observed frequency, by bins of the probability: (BINS,) float64 each.

    NaN in a bin without images.
    """

    confidence: Tensor
    """Mean probability."""
    real_share: Tensor
    """Share of real images, were both kinds equally frequent."""
    mass: Tensor
    """Share of all images; they sum to 1."""


def reliability(real_logits: Tensor, fake_logits: Tensor) -> Reliability:
    """The reliability curve of logits (N,) of held-out real images and (M,) of fakes (DeGroot and Fienberg, 1983)."""
    real, fake = real_logits.double().cpu().sigmoid(), fake_logits.double().cpu().sigmoid()
    probabilities = torch.cat([real, fake])
    weights = torch.cat([_weights(real), _weights(fake)])
    is_real = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    bins = _bins(probabilities)

    def total(values: Tensor) -> Tensor:
        return torch.zeros(BINS, dtype=torch.float64).index_add_(0, bins, values * weights)

    mass = total(torch.ones_like(weights))
    filled = torch.where(mass > 0, mass, math.nan)
    return Reliability(total(probabilities) / filled, total(is_real) / filled, mass)


def calibration_error(real_logits: Tensor, fake_logits: Tensor, *, seed: int = 0) -> AbsoluteSum:
    """Expected calibration error: the sum over bins of mass |confidence - real share| (Guo et al., 2017), in [0, 1].

    Even perfect probabilities give more than 0 at finite numbers of images; `floor` says how much.
    """
    real, fake = real_logits.double().cpu().sigmoid(), fake_logits.double().cpu().sigmoid()
    means = torch.zeros(BINS, dtype=torch.float64)
    covariance = torch.zeros(BINS, BINS, dtype=torch.float64)
    for probabilities, truth in ((real, 1.0), (fake, 0.0)):
        rows = torch.zeros(len(probabilities), BINS, dtype=torch.float64)
        rows[torch.arange(len(rows)), _bins(probabilities)] = (probabilities - truth) / 2
        means = means + rows.mean(dim=0)
        covariance = covariance + torch.cov(rows.T) / len(rows)
    return absolute_sum(means, covariance, seed=seed)


def brier_score(real_logits: Tensor, fake_logits: Tensor) -> Estimate:
    """Mean squared error of sigmoid(logit) (Brier, 1950): 0 for one that knows, 1/4 for one that says 1/2 of all."""
    real = (real_logits.double().cpu().sigmoid() - 1).square() / 2
    fake = fake_logits.double().cpu().sigmoid().square() / 2
    value, low, high = sum_of_means(real, fake)
    return Estimate(value, max(0.0, low), min(1.0, high)) if not math.isnan(low) else Estimate(value, low, high)


def _weights(values: Tensor) -> Tensor:
    return torch.full_like(values, 0.5 / len(values))


def _bins(probabilities: Tensor) -> Tensor:
    return (probabilities * BINS).long().clamp(max=BINS - 1)
