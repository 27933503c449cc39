"""What an attack did to each image: the facts that robustness is counted from and that reports show."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from advgan.ranges import to_bytes, to_unit
from attacks import L2, LINF, Attack, Classifier


@dataclass(frozen=True)
class Clean:
    """A classifier's answers to images as they are: `labels` (N,) and `logits` (N, classes), on the CPU."""

    labels: Tensor
    logits: Tensor

    @cached_property
    def correct(self) -> Tensor:
        """(N,) bool: the largest logit is the label's. A NaN among the logits is an error of the model."""
        return _is_label(self.logits, self.labels)

    @property
    def predictions(self) -> Tensor:
        """(N,) int64."""
        return self.logits.argmax(dim=1)


@dataclass(frozen=True)
class Outcome:
    """One attack on N images, all on the CPU. Only those that were classified correctly before are attacked."""

    clean: Clean
    adversarial: Tensor
    """(N, C, H, W) in [0, 1]: the attacked images; those that were not attacked, as they are."""
    logits: Tensor
    """(N, classes) of `adversarial`."""
    logits_8bit: Tensor
    """(N, classes) of `adversarial` rounded to 8 bits, as it would be in a file."""
    linf: Tensor
    """(N,) size of the change."""
    l2: Tensor
    """(N,) size of the change."""
    forwards: int
    """Images that the attack sent through the network; measuring its success is not counted."""
    backwards: int
    targets: Tensor | None = None
    """(N,) classes that a targeted attack was to reach."""

    @property
    def attacked(self) -> Tensor:
        """(N,) bool."""
        return self.clean.correct

    @cached_property
    def robust(self) -> Tensor:
        """(N,) bool: correct before the attack and after it."""
        return self.attacked & _is_label(self.logits, self.clean.labels)

    @cached_property
    def robust_8bit(self) -> Tensor:
        """(N,) bool: correct before the attack, and after it with the image rounded to 8 bits."""
        return self.attacked & _is_label(self.logits_8bit, self.clean.labels)

    @cached_property
    def success(self) -> Tensor:
        """(N,) bool: attacked, and no longer correct or, if targeted, at the target."""
        if self.targets is None:
            return self.attacked & ~self.robust
        return self.attacked & _is_label(self.logits, self.targets)

    @property
    def broken(self) -> Tensor:
        """(N,) bool: attacked, and the answer is no number. Counted as an error of the model, never as robust."""
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
    logits = torch.cat([_logits(classifier, batch) for batch in images.split(batch_size)])
    if not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise ValueError(
            f"labels run from {int(labels.min())} to {int(labels.max())}, but {classifier.name} has {logits.shape[1]} "
            "classes: these images are not of its data"
        )
    return Clean(labels.cpu().to(torch.int64), logits)


def attack_outcome(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    *,
    targets: Tensor | None = None,
    clean: Clean | None = None,
    previous: Outcome | None = None,
    batch_size: int = 256,
) -> Outcome:
    """Attack the images (N, C, H, W) in [0, 1] that are classified correctly, and look at the results once.

    `targets` (N,) are for an attack bound with `targeted=True`. `clean` saves the pass over the unchanged images.
    `previous` is the outcome of a smaller budget: what it broke is kept and not attacked again, its passes are added.
    Each image's randomness is bound to its number in `images`, so `batch_size` changes nothing but rounding.
    """
    targets = _checked_targets(attack, labels, targets)
    clean = clean or clean_outcome(classifier, images, labels, batch_size=batch_size)
    outcome = previous or _untouched(clean, images, targets)
    aims = clean.labels if targets is None else targets
    device = classifier.mean.device
    adversarial, logits, logits_8bit = outcome.adversarial.clone(), outcome.logits.clone(), outcome.logits_8bit.clone()
    linf, l2 = outcome.linf.clone(), outcome.l2.clone()
    forwards, backwards = classifier.passes.forwards, classifier.passes.backwards
    measured = 0
    left = (clean.correct & ~outcome.success).nonzero().flatten()
    for numbers in left.split(batch_size) if len(left) else ():
        batch = images[numbers.to(images.device)].to(device)
        found = attack(classifier, batch, aims[numbers].to(device), indices=numbers.to(device)).detach()
        if found.shape != batch.shape:
            raise ValueError(f"the attack returned {tuple(found.shape)} for images {tuple(batch.shape)}")
        adversarial[numbers] = found.cpu().to(adversarial.dtype)
        linf[numbers], l2[numbers] = LINF.size(found - batch).cpu().float(), L2.size(found - batch).cpu().float()
        logits[numbers] = _logits(classifier, found)
        logits_8bit[numbers] = _logits(classifier, to_unit(to_bytes(found)))
        measured += 2 * len(numbers)
    return replace(
        outcome,
        adversarial=adversarial,
        logits=logits,
        logits_8bit=logits_8bit,
        linf=linf,
        l2=l2,
        forwards=outcome.forwards + classifier.passes.forwards - forwards - measured,
        backwards=outcome.backwards + classifier.passes.backwards - backwards,
    )


def sweep(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attack: Any,
    eps_values: Iterable[float],
    *,
    targets: Tensor | None = None,
    clean: Clean | None = None,
    batch_size: int = 256,
) -> dict[float, Outcome]:
    """Attack at each budget from the smallest on; what a smaller one broke is not attacked again.

    `attack` lacks only `eps`: `partial(pgd, steps=40)`. Balls are nested, so each outcome is a valid attack at its
    budget, and the accuracy never rises with eps. Passes add up from budget to budget.
    """
    clean = clean or clean_outcome(classifier, images, labels, batch_size=batch_size)
    outcomes: dict[float, Outcome] = {}
    previous: Outcome | None = None
    for eps in sorted(set(eps_values)):
        previous = attack_outcome(
            classifier,
            images,
            labels,
            partial(attack, eps=eps),
            targets=targets,
            clean=clean,
            previous=previous,
            batch_size=batch_size,
        )
        outcomes[eps] = previous
    return outcomes


def bound(attack: object, option: str) -> Any:
    """The value that `functools.partial` has bound to an option of an attack; None where it has not."""
    return attack.keywords.get(option) if isinstance(attack, partial) else None


def _logits(classifier: Classifier, images: Tensor) -> Tensor:
    return classifier.logits(images.to(classifier.mean.device)).float().cpu()


def _is_label(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels) & ~logits.isnan().any(dim=1)


def _checked_targets(attack: Attack, labels: Tensor, targets: Tensor | None) -> Tensor | None:
    if targets is None:
        if bound(attack, "targeted"):
            raise ValueError("a targeted attack needs targets: the classes to reach, one an image")
        return None
    if bound(attack, "targeted") is False:
        raise ValueError("targets were given to an attack with targeted=False: bind targeted=True")
    if targets.shape != labels.shape or bool((targets.cpu() == labels.cpu()).any()):
        raise ValueError("targets must be one class an image, each other than the image's label")
    return targets.cpu().to(torch.int64)


def _untouched(clean: Clean, images: Tensor, targets: Tensor | None) -> Outcome:
    nothing = torch.zeros(len(images))
    pixels = images.detach().cpu()
    return Outcome(clean, pixels, clean.logits, clean.logits, nothing, nothing, 0, 0, targets)
