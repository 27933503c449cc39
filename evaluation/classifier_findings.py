"""Alarms about a classifier whose robustness means nothing, because it is random, flat or fed with other images."""

from functools import partial

import torch
from torch import Tensor

from advgan.models.probing import looks_like_probabilities
from attacks import Classifier, log_odds
from evaluation.findings import Finding
from evaluation.intervals import wilson
from evaluation.outcomes import Clean

PROBES = 64
"""Images for the questions that cost passes."""


def classifier_findings(classifier: Classifier, images: Tensor, labels: Tensor, clean: Clean) -> list[Finding]:
    """Question the classifier itself: is it random, are its outputs logits, has it gradients, are pixels in [0, 1]?"""
    device = classifier.mean.device
    probes = images[:PROBES].to(device)
    found = [
        _out_of_range(images),
        _no_number(clean),
        _random(classifier, probes),
        _probabilities(clean.logits),
        _chance(clean),
    ]
    if classifier.differentiable:
        correct = clean.correct[:PROBES].to(device)
        found.append(_no_gradient(classifier, probes[correct], labels[:PROBES].to(device)[correct]))
    return [finding for finding in found if finding is not None]


def _out_of_range(images: Tensor) -> Finding | None:
    low, high = (float(value) for value in images.aminmax())
    if low >= 0 and high <= 1:
        return None
    return Finding(
        "warning",
        "Images outside [0, 1]",
        f"Pixels run from {low:.4g} to {high:.4g}.",
        "A budget means nothing on them. Pass plain pixels, and give mean and std to Classifier.",
    )


def _no_number(clean: Clean) -> Finding | None:
    broken = int(clean.logits.isnan().any(dim=1).sum())
    if not broken:
        return None
    return Finding(
        "warning",
        "The model answers NaN",
        f"{broken} of {len(clean.logits)} unchanged images; they count as its errors.",
        "Look for overflow in half precision, a division by zero or broken weights.",
    )


def _random(classifier: Classifier, probes: Tensor) -> Finding | None:
    first, second = classifier.logits(probes), classifier.logits(probes)
    if torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True):
        return None
    changed = float((first.argmax(dim=1) != second.argmax(dim=1)).double().mean())
    return Finding(
        "warning",
        "The model is random",
        f"Two passes over the same {len(probes)} images differ by up to {float((first - second).abs().max()):.3g} in a "
        f"logit and in {changed:.1%} of the predictions.",
        "Dropout or noise acts in evaluation mode. Switch it off, or average over it inside the network; an attack "
        "that fails against noise says nothing.",
    )


def _probabilities(logits: Tensor) -> Finding | None:
    finite = logits[~logits.isnan().any(dim=1)]
    if len(finite) == 0 or not looks_like_probabilities(finite):
        return None
    return Finding(
        "warning",
        "The model returns probabilities",
        f"All {len(finite)} outputs are above 0 and sum to 1.",
        "A softmax at the end flattens the gradients that attacks climb. Return logits.",
    )


def _chance(clean: Clean) -> Finding | None:
    commonest = int(clean.labels.bincount().max())
    low, high = wilson(int(clean.correct.sum()), len(clean.labels))
    if high > commonest / len(clean.labels) or len(clean.labels.unique()) < 2:
        return None
    return Finding(
        "warning",
        "The model does not know these images",
        f"Its accuracy, {low:.1%} to {high:.1%}, is below that of always answering the commonest class "
        f"({commonest / len(clean.labels):.1%}).",
        "Check the order of the classes, and that mean, std and size are those of its training.",
    )


def _no_gradient(classifier: Classifier, probes: Tensor, labels: Tensor) -> Finding | None:
    if len(probes) == 0:
        return None
    try:
        gradient = classifier.gradient(probes, partial(log_odds, labels=labels)).gradient
    except ValueError:
        flat = len(probes)
    else:
        flat = int((gradient.flatten(1).abs().amax(dim=1) == 0).sum())
    if flat == 0:
        return None
    return Finding(
        "warning",
        "Gradients are zero",
        f"{flat} of {len(probes)} correctly classified images have no gradient at all.",
        "Rounding, a hard activation or a detach hides them, and gradient attacks fail for that reason alone. Attack "
        "through a smooth substitute of that layer, or without gradients.",
    )
