"""The probes, images on which the trust panel spends passes, and how many of them must fail for an alarm."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeVar

import torch
from torch import Tensor

from attacks import Classifier, Gradient, Norm, log_odds
from attacks.random import permutation
from evaluation.under_attack.outcomes import Clean

FEWEST = 5
"""Images that an alarm takes at least: fewer occur with any sound network."""
SHARE = 0.05
"""Share of the images that an alarm takes at least. A stronger attack breaks 1 to 3 % more of a sound robust network
(TRADES on CIFAR-10: 56.6 % after PGD-20, 53.1 % after AutoAttack), which is worth knowing but no broken evaluation."""

OTHERWISE = 1e-3
"""Change of a logit, relative to the image's largest, from which it counts as caused by other images of the batch;
rounding in another batch changes it by a hundredth of that in deep networks."""

C = TypeVar("C", bound=Classifier)


@dataclass(frozen=True)
class Probes:
    """Some correctly classified images, on the device of the classifier."""

    classifier: Classifier
    images: Tensor
    """(n, C, H, W)."""
    labels: Tensor
    """(n,)."""
    indices: Tensor
    """(n,) their numbers among all images; randomness depends on them."""

    @classmethod
    def of(
        cls, classifier: Classifier, images: Tensor, labels: Tensor, clean: Clean, *, count: int, seed: int
    ) -> "Probes":
        """Draw at most `count` of the images that are classified correctly; which ones is a function of the seed."""
        correct = clean.correct.nonzero().flatten()
        chosen = correct[permutation(seed, len(correct))[:count]].sort().values
        device = classifier.device
        pixels = images[chosen.to(images.device)].to(device)
        return cls(classifier, pixels, labels[chosen.to(labels.device)].to(device), chosen.to(device))

    def __len__(self) -> int:
        return len(self.images)

    def select(self, flags: Tensor) -> "Probes":
        """Those with a True among (n,) flags."""
        flags = flags.to(self.images.device)
        return replace(self, images=self.images[flags], labels=self.labels[flags], indices=self.indices[flags])

    def objective(self, logits: Tensor) -> Tensor:
        """The objective that attacks maximise: (n,) log-odds of all other classes against the label."""
        return log_odds(logits, self.labels)

    def broken_by(self, adversarial: Tensor) -> Tensor:
        """(n,) bool on the CPU: no longer classified correctly. Costs one pass."""
        logits = self.classifier.logits(adversarial)
        return ((logits.argmax(dim=1) != self.labels) & ~logits.isnan().any(dim=1)).cpu()

    def within(self, images: Tensor, norm: Norm, eps: float, *, rows: Tensor | None = None) -> Tensor:
        """(n,) bool: images (n, C, H, W), of these probes or of those numbered `rows`, lie in ball and bounds."""
        originals = self.images if rows is None else self.images[rows]
        in_ball = norm.size(images - originals) <= eps * (1 + 1e-4) + 1e-6
        return in_ball & ((images >= 0) & (images <= 1)).flatten(1).all(dim=1)

    @cached_property
    def found(self) -> Gradient | None:
        """Gradient of the objective at the images; None where the network has none to give."""
        if not self.classifier.differentiable:
            return None
        try:
            return self.classifier.gradient(self.images, self.objective)
        except ValueError:  # a cut gradient
            return None

    @cached_property
    def flat(self) -> Tensor:
        """(n,) bool: no gradient at all."""
        if self.found is None:
            return torch.ones(len(self), dtype=torch.bool, device=self.images.device)
        return self.found.gradient.flatten(1).abs().amax(dim=1) == 0


def enough(count: int, total: int) -> bool:
    """Whether so many of the probes are an alarm."""
    return count >= FEWEST and count > SHARE * total


def is_steady(classifier: Classifier, images: Tensor) -> bool:
    """Whether two passes over the same images give the same logits, up to the rounding of a device."""
    first, second = classifier.logits(images), classifier.logits(images)
    return torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True)


def answers_apart(classifier: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the images in one batch, and of the same images in two batches (even and odd rows).

    None of these is one image alone, of which a batch norm without statistics of its own could say nothing.
    """
    together = classifier.logits(images)
    apart = together.clone()
    halves = torch.arange(len(images), device=images.device) % 2 == 0
    for half in (halves, ~halves):
        apart[half] = classifier.logits(images[half])
    return together, apart


def sees_others(classifier: Classifier, images: Tensor) -> Tensor:
    """(n,) bool: the logits depend on the batch beyond rounding. For deterministic networks (`is_steady`)."""
    flags = torch.zeros(len(images), dtype=torch.bool)
    if len(images) < 4:
        return flags
    together, apart = answers_apart(classifier, images)
    dtypes = [parameter.dtype for parameter in classifier.network.parameters() if parameter.is_floating_point()]
    coarsest = max((torch.finfo(dtype).eps for dtype in dtypes), default=0.0)
    largest = together.abs().amax(dim=1).clamp(min=1e-30)
    return ((together - apart).abs().amax(dim=1) > max(OTHERWISE, 16 * coarsest) * largest).cpu()


def is_alone(classifier: Classifier, images: Tensor) -> bool:
    """Whether logits are independent of the batch, but for a few images at a jump of a piecewise constant network."""
    count = int(sees_others(classifier, images).sum())
    return count < min(FEWEST, len(images)) or count <= SHARE * len(images)


def rewrapped(kind: Callable[..., C], classifier: Classifier) -> C:
    """The same network and normalisation in another kind of Classifier, which shares the weights."""
    mean, std = (values.flatten().tolist() for values in (classifier.mean, classifier.std))
    wrap = partial(
        kind,
        resize=classifier.resize,
        layout=classifier.layout,
        num_classes=classifier.reader.num_classes,
        differentiable=classifier.differentiable,
        name=classifier.name,
    )
    return wrap(classifier.network, mean=mean, std=std).to(classifier.device)
