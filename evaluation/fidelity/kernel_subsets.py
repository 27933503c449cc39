"""The kernel distance by torch-fidelity's protocol: the mean over subsets that overlap."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.features.features import check_features
from evaluation.fidelity.kernel import kernel_estimate
from evaluation.statistics.intervals import NORMAL, Estimate

NUM_SUBSETS = 100
SUBSET_SIZE = 1000
SUBSET_SEED = 2020


def kernel_subsets(
    first_features: Tensor,
    second_features: Tensor,
    *,
    num_subsets: int = NUM_SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = SUBSET_SEED,
) -> Tensor:
    """The unbiased distance of each of `num_subsets` pairs of subsets (Bińkowski et al., 2018): (num_subsets,) float64.

    Subsets, their order and the type of the arithmetic (the features' own) are torch-fidelity's, whose input 1, the
    generated images of its manual, comes first. Subsets overlap: their standard deviation is no standard error.
    Raises ValueError where a subset is larger than a set.
    """
    check_features(first_features, second_features, least=2)
    fewest = min(len(first_features), len(second_features))
    if not 2 <= size <= fewest:
        raise ValueError(f"kernel distance over subsets of {size}: there are {fewest} images; lower the subset size")
    first, second = (features.detach().cpu().numpy() for features in (first_features, second_features))
    order = np.random.RandomState(seed)
    values = torch.empty(num_subsets, dtype=torch.float64)
    for subset in range(num_subsets):
        some = first[order.choice(len(first), size, replace=False)]
        values[subset] = _distance(some, second[order.choice(len(second), size, replace=False)])
    return values


def subset_estimate(
    first_features: Tensor,
    second_features: Tensor,
    *,
    num_subsets: int = NUM_SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = SUBSET_SEED,
) -> Estimate:
    """The mean over subsets with an interval about its limit.

    It is that of the distance over all pairs, widened by the noise that the choice of subsets adds.
    """
    values = kernel_subsets(first_features, second_features, num_subsets=num_subsets, size=size, seed=seed)
    whole, value = kernel_estimate(first_features, second_features), float(values.mean())
    noise = NORMAL * float(values.std()) / math.sqrt(num_subsets) if num_subsets > 1 else math.nan
    return Estimate(
        value, value - math.hypot(whole.value - whole.low, noise), value + math.hypot(whole.high - whole.value, noise)
    )


def _distance(first: "np.ndarray[Any, Any]", second: "np.ndarray[Any, Any]") -> float:
    """Unbiased, in the sources' order of sums: kernels are near 1 and their differences near 0, so another order moves
    the fourth digit of a small distance in float32."""
    size, columns = first.shape
    inside = sum(
        (kernel.sum(axis=1) - kernel.diagonal()).sum()
        for kernel in ((rows @ rows.T / columns + 1) ** 3 for rows in (first, second))
    )
    across = ((first @ second.T / columns + 1) ** 3).sum(axis=0).sum()
    return float(inside / (size * (size - 1)) - 2 * across / size**2)
