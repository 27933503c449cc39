"""Check whether a network that is given raw pixels was trained on normalised ones."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from advgan.machine.precision import true_float32
from attacks import Classifier
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import wilson
from evaluation.under_attack.outcomes import Clean
from evaluation.under_attack.probes import rewrapped

TRIED = 256
"""Images on which another normalisation is tried."""
SOUND = 0.95
"""Accuracy that needs no explanation."""
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@true_float32()
def normalisation_finding(
    classifier: Classifier, images: Tensor, labels: Tensor, clean: Clean, *, batch_size: int = TRIED
) -> Finding | None:
    """Check whether one of the usual normalisations of the input would make the classifier significantly more accurate.

    Costs four passes of some images, of a network that is given plain pixels and gets more than a few of them wrong.
    """
    plain = not any(classifier.mean.flatten().tolist()) and set(classifier.std.flatten().tolist()) == {1}
    some, classes = images[:TRIED].to(classifier.device), labels[:TRIED].to(classifier.device)
    right = int(clean.correct[:TRIED].sum())
    if not plain or right > SOUND * len(some):
        return None
    found = [(_right(classifier, some, classes, batch_size, *way), way) for way in _ways(some)]
    best, (mean, std) = max(found, key=lambda pair: pair[0])
    before, after = wilson(right, len(some)), wilson(best, len(some))
    commonest = int(classes.bincount().max()) / len(classes)
    if after[0] <= max(before[1], commonest):
        return None
    options = " ".join(
        f"--{name} {','.join(f'{value:.3g}' for value in way)}" for name, way in (("mean", mean), ("std", std))
    )
    return Finding(
        "warning",
        "The mean and std of the model look forgotten",
        f"It gets {right} of {len(some)} images right as they are, and {best} of them with {options}.",
        f"Try {options} (in Python mean and std of Classifier), best with the numbers of its training; robustness of a "
        "model that is fed with other images than it was trained on says nothing.",
        code="normalisation-forgotten",
    )


def _ways(images: Tensor) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Mean and std: those of the images, of a range from -1 to 1, of levels up to 255 and, for colours, ImageNet's."""
    channels = images.transpose(0, 1).flatten(1).double()
    own = tuple(channels.mean(dim=1).tolist()), tuple(channels.std(dim=1).clamp(min=1 / 255).tolist())
    return [own, ((0.5,), (0.5,)), ((0.0,), (1 / 255,)), *([_IMAGENET] if len(channels) == 3 else [])]


def _right(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> int:
    other = rewrapped(partial(_normalising, mean, std), classifier)
    answers = torch.cat([other.logits(batch).argmax(dim=1) for batch in images.split(batch_size)])
    return int((answers == labels).sum())


def _normalising(
    own_mean: tuple[float, ...], own_std: tuple[float, ...], network: nn.Module, **options: Any
) -> Classifier:
    return Classifier(network, **{**options, "mean": own_mean, "std": own_std})
