"""InfoGAN's latent codes: agreement of the categorical code with classes, correlation of the continuous codes."""

import math

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from attacks.random import normal
from evaluation.features.features import as_double
from evaluation.statistics.intervals import NORMAL, UNKNOWN, Estimate, rate


def best_matching(values: Tensor, labels: Tensor) -> Tensor:
    """The class of each code value under the one-to-one assignment that is right most often (Kuhn, 1955), on the CPU.

    `values` and `labels` are (N,) numbers from 0. Of more values than classes some have none, which is -1.
    """
    values, labels = values.cpu(), labels.cpu()
    num_values, num_classes = int(values.max()) + 1, int(labels.max()) + 1
    counts = torch.zeros(num_values, num_classes, dtype=torch.int64)
    counts.index_put_((values, labels), torch.ones_like(labels), accumulate=True)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    found = torch.full((num_values,), -1)
    found[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return found


def matched_accuracy(values: Tensor, labels: Tensor) -> Estimate:
    """Share of images whose code value is that of their class, with its Wilson interval; (N,) values, (N,) labels.

    The assignment is chosen on the same images, so even random values score a little above 1 / K: `random_values`
    gives that baseline.
    """
    if not len(values):
        return Estimate(math.nan, *UNKNOWN)
    values, labels = values.cpu(), labels.cpu()
    return rate(best_matching(values, labels)[values] == labels)


def random_values(features: Tensor, num_values: int, *, seed: int = 0) -> Tensor:
    """Code values (N,) that a random head reads from features (N, D): the control of an untaught one.

    Features are standardised first; else one direction of a large mean would win everywhere, and the control be unfair.
    """
    rows = as_double(features)
    rows = (rows - rows.mean(dim=0)) / rows.std(dim=0).clamp(min=1e-12)
    head = normal(seed, torch.arange(num_values), (features.shape[1],), stream=RANDOM_HEAD)
    return (rows @ head.to(rows).T).argmax(dim=1)


def code_correlations(guessed: Tensor, given: Tensor) -> list[Estimate]:
    """Pearson's correlation of each continuous code as guessed from images with the one that they were drawn from.

    Both (N, C); intervals by Fisher's z. A column that is constant has none: NaN.
    """
    return [_correlation(*columns) for columns in zip(guessed.double().T, given.double().T, strict=True)]


RANDOM_HEAD = 5
"""Stream of attacks.random."""


def _correlation(first: Tensor, second: Tensor) -> Estimate:
    first, second = first - first.mean(), second - second.mean()
    lengths = float(first.norm() * second.norm())
    if len(first) < 2 or lengths == 0:
        return Estimate(math.nan, *UNKNOWN)
    value = max(-1.0, min(1.0, float(first @ second) / lengths))
    if len(first) < 4 or abs(value) == 1:
        return Estimate(value, *UNKNOWN)
    margin = NORMAL / math.sqrt(len(first) - 3)
    return Estimate(value, math.tanh(math.atanh(value) - margin), math.tanh(math.atanh(value) + margin))
