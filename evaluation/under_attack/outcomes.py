"""The outcome of an attack for each image, from which robust accuracy and all other rates are computed."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from advgan.machine.precision import true_float32
from attacks import Classifier


@dataclass(frozen=True)
class Clean:
    """A classifier's answers to images as they are: `labels` (N,) and `logits` (N, classes), on the CPU."""

    labels: Tensor
    logits: Tensor

    @cached_property
    def correct(self) -> Tensor:
        """(N,) bool: the largest logit is the label's. A NaN among the logits is an error of the model."""
        return is_label(self.logits, self.labels)

    @property
    def predictions(self) -> Tensor:
        """(N,) int64."""
        return self.logits.argmax(dim=1)


@dataclass(frozen=True)
class Outcome:
    """One attack at one budget on N images, all on the CPU."""

    clean: Clean
    attacked: Tensor
    """(N,) bool: classified correctly before and, in a cascade, not broken by an attack before this one."""
    adversarial: Tensor
    """(N, C, H, W) in [0, 1]: what broke each image, or was tried; where nothing was, the image as it is."""
    logits: Tensor
    """(N, classes) of `adversarial`."""
    logits_8bit: Tensor
    """(N, classes) of `adversarial` rounded to 8 bits, as it would be in a file."""
    linf: Tensor
    """(N,) size of the change."""
    l2: Tensor
    """(N,) size of the change."""
    forwards: Tensor
    """(N,) int64: passes that the attack spent on each image; measuring its success is not counted."""
    backwards: Tensor
    targets: Tensor | None = None
    """(N,) classes that a targeted attack was to reach."""

    @cached_property
    def robust(self) -> Tensor:
        """(N,) bool: correct before the attack and after it, and after those before it in a cascade."""
        return self.clean.correct & is_label(self.logits, self.clean.labels)

    @cached_property
    def robust_8bit(self) -> Tensor:
        """(N,) bool: correct before the attack, and after it with the image rounded to 8 bits."""
        return self.clean.correct & is_label(self.logits_8bit, self.clean.labels)

    @cached_property
    def success(self) -> Tensor:
        """(N,) bool: attacked, and no longer correct or, if targeted, at the target."""
        if self.targets is None:
            return self.attacked & ~self.robust
        return self.attacked & is_label(self.logits, self.targets)

    @property
    def broken(self) -> Tensor:
        """(N,) bool: attacked, and a logit is NaN. Counted as misclassified, never as robust."""
        return self.attacked & self.logits.isnan().any(dim=1)

    @property
    def predictions(self) -> Tensor:
        """(N,) int64, of `adversarial`."""
        return self.logits.argmax(dim=1)


def clean_outcome(classifier: Classifier, images: Tensor, labels: Tensor, *, batch_size: int = 256) -> Clean:
    """Classify images (N, C, H, W) in [0, 1] once; every attack on them can share the result."""
    if len(images) == 0:
        raise ValueError("there are no images to attack")
    if labels.shape != (len(images),) or labels.is_floating_point():
        raise ValueError(f"{len(images)} images need as many whole-numbered labels; got {tuple(labels.shape)}")
    logits = torch.cat([measured_logits(classifier, batch) for batch in images.split(batch_size)])
    if not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise ValueError(
            f"labels run from {int(labels.min())} to {int(labels.max())}, but {classifier.name} has {logits.shape[1]} "
            "classes: these images are not of its data"
        )
    return Clean(labels.cpu().to(torch.int64), logits)


def bound(attack: object, option: str) -> Any:
    """The value that `functools.partial` has bound to an option of an attack; None where it has not."""
    return attack.keywords.get(option) if isinstance(attack, partial) else None


@true_float32()
def measured_logits(classifier: Classifier, images: Tensor) -> Tensor:
    """(N, classes) in float32 on the CPU."""
    return classifier.logits(images.to(classifier.device)).float().cpu()


def is_label(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) bool: the largest logit is at the label, and none is NaN."""
    return (logits.argmax(dim=1) == labels) & ~logits.isnan().any(dim=1)
