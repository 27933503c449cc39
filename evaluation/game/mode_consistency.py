"""Whether a generator draws alike in eval mode, in train mode, and before weight averaging; with intervals."""

import math

from torch import Tensor

from evaluation.statistics.intervals import Estimate, jackknife, mean

BATCH = 32
"""Latents that share batch statistics in train mode."""


def moved(first: Tensor, second: Tensor, *, unit: float, batch_size: int = 1) -> Estimate:
    """Mean distance between features (N, D) of the same latents drawn in two ways, in units of `unit`.

    Images of one batch of train mode depend on each other, so the interval is about means of batches of `batch_size`;
    an incomplete last batch is left out. `unit`, the mean distance of two real images, is treated as exact.
    """
    apart = (first.double() - second.double()).norm(dim=1).cpu() / unit
    whole = apart[: len(apart) // batch_size * batch_size]
    value, low, high = mean(whole.view(-1, batch_size).mean(dim=1))
    return Estimate(value, max(0.0, low), high) if not math.isnan(low) else Estimate(value, low, high)


def gap(features: Tensor, *, real_mean: Tensor, unit: float, batch_size: int = 1, seed: int = 0) -> Estimate:
    """Distance of the mean of features (N, D) from that of real images (D,), in the same units; jackknife by batch."""
    batches = features[: len(features) // batch_size * batch_size].double().cpu()
    batches = batches.view(-1, batch_size, batches.shape[1]).mean(dim=1)

    def distance(rows: Tensor) -> float:
        return float((rows.mean(dim=0) - real_mean.cpu()).norm()) / unit

    value, low, high = jackknife(distance, batches, seed=seed)
    return Estimate(value, max(0.0, low) if not math.isnan(low) else low, high)
