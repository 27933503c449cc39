"""The Inception score: exp of the mutual information between an image and its predicted class."""

import math
from collections.abc import Collection
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from evaluation.features.features import TooFewError, as_double
from evaluation.features.seen import Row, Seen
from evaluation.statistics.intervals import Estimate, mean

NUM_SPLITS = 10
SHUFFLE_SEED = 2020
"""torch-fidelity's."""

INCEPTION_METRICS = {
    "inception_score": "sure and varied answers of Inception-v3; classifier_score with another classifier",
}


def inception_score(
    probabilities: Tensor, *, num_splits: int = NUM_SPLITS, seed: int | None = SHUFFLE_SEED
) -> Estimate:
    """Average exp(E KL(p(y|x) || p(y))) over disjoint splits (Salimans et al., 2016); natural logarithm.

    `probabilities` are (N, C) rows that sum to 1. The score and its interval lie in [1, C]. Only with Inception-v3's
    1008 classes may it be called the Inception score; with another classifier, report it as `classifier_score`. A
    smaller split scores lower, so compare at equal N and splits only. The interval is about the expectation at these:
    Student's over the splits, which share no image; with one split, Student's over the divergences of the images, to
    which the logarithm of the score is equal in the first order (the average class shares move it in the second).
    Raises ValueError with fewer than two images a split (torch-fidelity returns NaN or exactly 1 there).
    """
    scores = split_scores(probabilities, num_splits=num_splits, seed=seed)
    if num_splits > 1:
        value, low, high = mean(scores)
    else:
        value, low, high = (math.exp(end) for end in mean(_divergences(as_double(probabilities))))
    return Estimate(value, max(1.0, low), min(float(probabilities.shape[1]), high))


def split_scores(probabilities: Tensor, *, num_splits: int = NUM_SPLITS, seed: int | None = SHUFFLE_SEED) -> Tensor:
    """The score of each split: (num_splits,) float64.

    Shuffling (numpy's RandomState) and splits, whose sizes differ by one at most, are torch-fidelity's, so the values
    are too. Without a seed images stay in their order, as StyleGAN3 has it. Raises ValueError as `inception_score`.
    """
    count = len(probabilities)
    if num_splits < 1 or count < 2 * num_splits:
        raise TooFewError(f"an Inception score over {num_splits} splits needs {2 * num_splits} images, not {count}")
    rows = as_double(probabilities)
    if not bool(rows.isfinite().all()):
        raise ValueError("an Inception score of probabilities with NaN or infinity: the extractor is broken")
    if seed is not None:
        rows = rows[torch.from_numpy(np.random.RandomState(seed).permutation(count)).to(rows.device)]
    bounds = [split * count // num_splits for split in range(num_splits + 1)]
    scores = [math.exp(float(_divergences(rows[start:stop]).mean())) for start, stop in pairwise(bounds)]
    return torch.tensor(scores, dtype=torch.float64)


def inception_rows(seen: Seen, wanted: Collection[str], *, num_splits: int = NUM_SPLITS) -> list[Row]:
    """The score of the generated images; none for an extractor without classes."""
    fake = seen.fake.features
    if "inception_score" not in wanted or not fake.has_classes:
        return []
    name = "inception_score" if fake.is_inception else "classifier_score"
    way = f"{num_splits} shuffled splits; t interval over the splits" if num_splits > 1 else "one split; t interval"
    protocol = f"exp of the mean divergence in nats, {way}, about the expectation at these sizes"
    return [(name, inception_score(fake.probabilities, num_splits=num_splits), len(fake), protocol)]


def _divergences(probabilities: Tensor) -> Tensor:
    """KL divergence of each row from the average row: (N,); 0 log 0 is 0."""
    marginal = probabilities.mean(dim=0)
    return (torch.xlogy(probabilities, probabilities) - torch.xlogy(probabilities, marginal)).sum(dim=1)
