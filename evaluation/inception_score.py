"""The Inception score: how sure a classifier is of each image, and how varied its answers are."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from evaluation.intervals import Estimate, mean

NUM_SPLITS = 10


def inception_score(probabilities: Tensor, *, num_splits: int = NUM_SPLITS, seed: int = 2020) -> Estimate:
    """Average exp(E KL(p(y|x) || p(y))) over disjoint splits (Salimans et al., 2016); natural logarithm.

    `probabilities` are (N, C) rows that sum to 1. The score lies in [1, C]. Only with Inception-v3's 1008 classes may
    it be called the Inception score; with another classifier, report it as `classifier_score`. Shuffling (numpy's
    RandomState, seed 2020) and splits are torch-fidelity's, so the value is too. The interval is Student's over the
    splits, which share no image; a smaller split scores lower, so compare at equal N only.
    Raises ValueError with fewer than two images a split (torch-fidelity returns NaN or exactly 1 there).
    """
    count = len(probabilities)
    if count < 2 * num_splits:
        raise ValueError(f"an Inception score over {num_splits} splits needs {2 * num_splits} images, not {count}")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(count)).to(probabilities.device)
    shuffled = probabilities.double()[order]
    bounds = [split * count // num_splits for split in range(num_splits + 1)]
    scores = [_score(shuffled[start:stop]) for start, stop in pairwise(bounds)]
    estimate = mean(torch.tensor(scores, dtype=torch.float64))
    return Estimate(
        estimate.value, max(1.0, estimate.low) if math.isfinite(estimate.low) else estimate.low, estimate.high
    )


def _score(probabilities: Tensor) -> float:
    """exp of the mean divergence of the rows from their average; 0 log 0 is 0."""
    marginal = probabilities.mean(dim=0)
    divergences = torch.xlogy(probabilities, probabilities) - torch.xlogy(probabilities, marginal)
    return math.exp(float(divergences.sum(dim=1).mean()))
