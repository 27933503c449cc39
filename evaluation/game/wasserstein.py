"""The Wasserstein estimate of a critic, and the critic's gradient norms, which set the estimate's scale."""

import math
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

from advgan.models.interface import Discriminator
from attacks.random import uniform
from evaluation.game.discriminator import graded
from evaluation.statistics.intervals import CONFIDENCE, UNKNOWN, Estimate, mean
from evaluation.statistics.welch import difference_of_means

BETWEEN = 1 << 20
"""Stream of attacks.random for the points between real and fake images."""
STEEP = 0.95


class Slopes(NamedTuple):
    """Gradient norms of a critic at points between real and fake images: a summary over samples."""

    mean: Estimate
    percentile: Estimate
    """The 95th; its interval is that of order statistics, exact for any distribution."""
    largest: float
    """A lower bound of the Lipschitz constant; no interval is given for a maximum."""


def slopes_between(
    discriminator: Discriminator, real: Tensor, fake: Tensor, labels: Tensor | None, *, seed: int, batch_size: int = 256
) -> Tensor:
    """Norms (N,) of the gradient at a random point between each real and fake image, as a discriminator is shown both.

    `labels` (N,) are those of the real images, for a discriminator that asks. Each norm is of a sample alone
    (Gulrajani et al., 2017, equation 3); it is taken in eval mode, and the mode put back. On the CPU.
    """
    device, training = next(discriminator.parameters()).device, discriminator.training
    mixing = uniform(seed, torch.arange(len(real)), (), stream=BETWEEN).view(-1, *[1] * (real.ndim - 1))
    discriminator.eval()
    try:
        found = []
        for rows in torch.arange(min(len(real), len(fake))).split(batch_size):
            first, second, share = (values[rows.to(values.device)].to(device) for values in (fake, real, mixing))
            given = None if labels is None else labels[rows.to(labels.device)].to(device)
            found.append(graded(discriminator, torch.lerp(first, second, share), given).gradient_norms.cpu())
        return torch.cat(found)
    finally:
        discriminator.train(training)


def wasserstein_estimate(real_logits: Tensor, fake_logits: Tensor) -> Estimate:
    """E f(real) - E f(fake) (Arjovsky et al., 2017): the distance itself where f is the best 1-Lipschitz critic."""
    return difference_of_means(real_logits, fake_logits)


def over_slope(estimate: Estimate, slope: float) -> Estimate:
    """The estimate of the critic divided by its slope, as if it had slope 1; the slope counts as known.

    Divided by its Lipschitz constant it bounds the Wasserstein distance from below, in units of the images shown.
    """
    if not slope > 0:
        return Estimate(math.nan, *UNKNOWN)
    return Estimate(*(value / slope for value in estimate))


def steepness(norms: Tensor) -> Slopes:
    """Summarise the gradient norms (N,) of single samples."""
    ordered = norms.double().cpu().sort().values
    return Slopes(mean(ordered), _quantile(ordered), float(ordered[-1]))


def _quantile(ordered: Tensor) -> Estimate:
    """The 95th percentile of sorted values, between the order statistics that bound it (Conover, 1999)."""
    count = len(ordered)
    value = float(torch.quantile(ordered, STEEP))
    low, high = (int(stats.binom.ppf(share, count, STEEP)) for share in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    if low < 1 or high + 1 > count:
        return Estimate(value, *UNKNOWN)
    return Estimate(value, float(ordered[low - 1]), float(ordered[high]))
