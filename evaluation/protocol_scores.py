"""Scores as another tool computes them: its protocol's rules and key names.

For comparison with published results. Our own scores differ on purpose: all pairs instead of subsets, float64
throughout, and a confidence interval instead of the spread over subsets, which is no standard error.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.features.features import Features, as_double, check_same_extractor
from evaluation.features.protocols import KernelRule, Protocol, ScoreRule, protocol_of
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.inception_score import split_scores
from evaluation.fidelity.kernel_subsets import kernel_subsets
from evaluation.neighbourhoods.precision_recall import neighbourhoods


def protocol_scores(real: Features, fake: Features) -> dict[str, float]:
    """Everything that the protocol of these features defines, under torch-fidelity's key names.

    What its source leaves to a global generator is drawn with seed 0. Raises ValueError where the source does: too few
    images for a subset or a split; and where the two sets were seen by two extractors, or under two protocols.
    """
    check_same_extractor(real, fake)
    rules = protocol_of(real.extractor)
    scores = {"frechet_inception_distance": frechet_under(rules, real.values, fake.values)}
    if rules.score is not None and fake.has_classes:
        mean, spread = score_under(rules.score, fake.probabilities)
        scores |= {"inception_score_mean": mean, "inception_score_std": spread}
    if rules.kernel is not None:
        mean, spread = kernel_under(rules.kernel, real.values, fake.values)
        scores |= {"kernel_inception_distance_mean": mean, "kernel_inception_distance_std": spread}
    found = neighbourhoods(real.values, fake.values)
    precision, recall = (float(flags.double().mean()) for flags in (found.fake_in_real, found.real_in_fake))
    f_score = 2 * precision * recall / max(1e-5, precision + recall)
    return scores | {"precision": precision, "recall": recall, "f_score": f_score}


def frechet_under(rules: Protocol, real: Tensor, fake: Tensor) -> float:
    """The Fréchet distance with a protocol's ddof and dtype of the means.

    The dtype affects only the squared distance of the means, and ddof scales the three traces.
    """
    gap = float((as_double(real).mean(dim=0) - as_double(fake).mean(dim=0)).square().sum())
    traces = [float(as_double(features).var(dim=0).sum()) for features in (real, fake)]
    shared = (sum(traces) + gap - frechet_distance(real, fake)) / 2
    shrink = [(len(features) - 1) / (len(features) - rules.ddof) for features in (real, fake)]
    moved = _mean(real, rules.mean_dtype) - _mean(fake, rules.mean_dtype)
    spread = sum(trace * factor for trace, factor in zip(traces, shrink, strict=True))
    return float(np.square(moved).sum()) + spread - 2 * shared * float(np.sqrt(shrink[0] * shrink[1]))


def score_under(rule: ScoreRule, probabilities: Tensor) -> tuple[float, float]:
    """Mean and spread of the Inception score over a protocol's splits."""
    scores = split_scores(probabilities.to(rule.dtype), num_splits=rule.splits, seed=rule.shuffle_seed)
    return float(scores.mean()), float(scores.std(correction=rule.ddof))


def kernel_under(rule: KernelRule, real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Mean and spread of the kernel distance over a protocol's subsets, in float32."""
    fewest = min(len(real), len(fake))
    if fewest < rule.size and not rule.shrinks:
        raise ValueError(f"kernel distance over subsets of {rule.size}: there are {fewest} images; use more of them")
    values = kernel_subsets(
        fake.float(), real.float(), num_subsets=rule.subsets, size=min(rule.size, fewest), seed=rule.seed or 0
    )
    return float(values.mean()), float(values.std(correction=0))


def _mean(features: Tensor, dtype: torch.dtype) -> NDArray[np.float64]:
    """Mean of the columns, summed row after row in `dtype` as numpy does."""
    rows = features.to(dtype).cpu().numpy()
    return rows.mean(axis=0).astype(np.float64)
