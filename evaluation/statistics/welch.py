"""Sums and differences of the means of two independent samples, with Welch's (1947) interval for unequal variances."""

import math

from torch import Tensor

from evaluation.statistics.intervals import UNKNOWN, Estimate, student


def sum_of_means(first: Tensor, second: Tensor) -> Estimate:
    """Mean of (N,) plus mean of (M,) independent values; the interval is unknown where one set has fewer than two."""
    first, second = first.double().cpu(), second.double().cpu()
    value = float(first.mean() + second.mean())
    if min(len(first), len(second)) < 2:
        return Estimate(value, *UNKNOWN)
    parts = [(float(values.var()) / len(values), len(values) - 1) for values in (first, second)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Estimate(value, value, value)
    degrees = variance**2 / sum(part**2 / count for part, count in parts)
    margin = student(degrees) * math.sqrt(variance)
    return Estimate(value, value - margin, value + margin)


def difference_of_means(first: Tensor, second: Tensor) -> Estimate:
    """Mean of (N,) minus mean of (M,) independent values."""
    return sum_of_means(first, -second)
