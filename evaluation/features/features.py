"""Extractors and the features they give: one pass over the images serves all metrics of a generator."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advgan.ranges import to_bytes, to_unit
from advgan.storage.checkpoints import parameters_digest
from attacks import Classifier
from evaluation.features.held_out import HeldOut

Look = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Extractor:
    """A feature extractor, with all that identifies it in a result.

    `function` takes images (N, C, H, W) in [0, 1], whose values are whole grey levels if `rounds`, and returns features
    (N, D) and class probabilities (N, classes). `digest` names the weights, `protocol` says how images were prepared.
    """

    name: str
    digest: str
    function: Look
    protocol: str = ""
    rounds: bool = True
    """Whether images are rounded to 8 bits before. False for points, which may leave [0, 1] too."""
    confidence: float = 0.0
    """The least probability with which an image counts as one of its most probable class."""
    held_out: HeldOut | None = None
    """Accuracy on held-out images, where the extractor is a classifier; None: not measured."""
    is_foreign: bool = False
    """Whether it is a user's own: it is then tested for dependence on the batch."""

    @property
    def title(self) -> str:
        """Name and digest of the weights, as results call it."""
        return f"{self.name} {self.digest}".rstrip()

    @property
    def words(self) -> str:
        """Its description in protocols."""
        return self.protocol or f"features of {self.title}"


@dataclass(frozen=True)
class Features:
    """The output of an extractor on a set of images: `values` (N, D) and `probabilities` (N, classes)."""

    values: Tensor
    probabilities: Tensor
    extractor: str
    digest: str
    protocol: str = ""
    confidence: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def classes(self) -> Tensor:
        """The most probable class of each image: (N,) int64."""
        return self.probabilities.argmax(dim=1)

    @property
    def sure(self) -> Tensor:
        """Whether the highest probability reaches `confidence`, so that the class counts: (N,) bool."""
        return self.probabilities.amax(dim=1) >= self.confidence

    @property
    def is_inception(self) -> bool:
        """Whether this is Inception-v3, under any protocol, so that results may be called FID, KID, Inception score."""
        return _is_inception(self.extractor)

    @property
    def has_classes(self) -> bool:
        """Whether the extractor tells classes apart; see `single_class`."""
        return self.probabilities.shape[1] > 1

    @property
    def counts_classes(self) -> bool:
        """Whether it predicts classes that can be counted: it has some, and they are not Inception's of ImageNet."""
        return self.has_classes and not self.is_inception


INCEPTION = "inception"
"""The name of Inception-v3; `inception@NAME` is the same network under another protocol than the default."""


def single_class(features: Tensor) -> Tensor:
    """Probabilities (N, 1) for an extractor that knows no classes: every image is of the one that there is."""
    return as_double(torch.ones(len(features), 1, device=features.device))


def extract(extractor: Extractor, images: Tensor | Iterable[Tensor], *, batch_size: int = 128) -> Features:
    """Extract features, seeing each image once.

    `images` are float in [0, 1], one tensor (N, C, H, W) or an iterable of such batches, so that a generator's samples
    need never be in memory together. They are rounded to 8 bits first, as they would be in a file: the numbers are then
    those of the saved images, and exact for real ones; points stay as they are. Raises ValueError for images out of
    range, or for none at all.
    """
    values, probabilities = [], []
    batches = images.split(batch_size) if isinstance(images, Tensor) else images
    for batch in batches:
        if len(batch) == 0:
            continue
        seen = extractor.function(to_unit(to_bytes(_checked(batch))) if extractor.rounds else batch)
        values.append(seen[0])
        probabilities.append(seen[1])
    if not values:
        raise ValueError("there are no images to look at: features need at least one")
    return Features(
        torch.cat(values),
        torch.cat(probabilities),
        extractor.name,
        extractor.digest,
        extractor.protocol,
        extractor.confidence,
    )


def classifier_extractor(
    classifier: Classifier, *, name: str | None = None, digest: str | None = None, held_out: HeldOut | None = None
) -> Extractor:
    """Make an extractor of a classifier: its features are the inputs of its last linear layer.

    `name` (by default the classifier's) goes into the names of the metrics, `digest` (by default of the weights) and
    what `held_out` says of its accuracy into the protocol. Raises ValueError where the network has no linear layer that
    gives its logits.
    """
    linear = [module for module in classifier.network.modules() if isinstance(module, nn.Linear)]
    name = name or classifier.name
    if _is_inception(name):
        raise ValueError("the name inception is kept for the Inception-v3 of the FID: give the classifier another name")
    if not linear:
        raise ValueError(_no_linear(name))

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        last: dict[str, Tensor] = {}

        def remember(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            last.update(input=inputs[0], output=output)

        hooks = [module.register_forward_hook(remember) for module in linear]
        try:
            logits = classifier.logits(images.to(classifier.device))
        finally:
            for hook in hooks:
                hook.remove()
        if not last or last["output"].shape != logits.shape or last["input"].ndim != 2:
            raise ValueError(_no_linear(name))
        return last["input"].float(), as_double(logits).softmax(dim=1)

    digest = digest or parameters_digest(classifier.network.state_dict())
    told = f", {held_out.words}" if held_out else ""
    return Extractor(name, digest, look, f"input of the last linear layer of {name} {digest}{told}", held_out=held_out)


def metric_name(metric: str, features: Features) -> str:
    """The fixed word of a distance: `fid`, `kid`, `fid_floor` with Inception, else `fd[name]`, `kid[name]`, ..."""
    if features.is_inception:
        return metric
    return f"{metric.replace('fid', 'fd')}[{features.extractor}]"


def as_double(features: Tensor) -> Tensor:
    """Features as float64, on the device where they are if it has that type."""
    return (features.cpu() if features.device.type == "mps" else features).double()


def check_same_extractor(real: Features, fake: Features) -> None:
    """Refuse features of two extractors, of two sets of weights, or under two protocols: ValueError."""
    if (real.extractor, real.digest) != (fake.extractor, fake.digest):
        raise ValueError(
            f"real images were seen by {real.extractor} {real.digest}, fake ones by {fake.extractor} {fake.digest}: "
            "extract both with one"
        )


class TooFewError(ValueError):
    """There are fewer images than a metric takes."""


def check_features(real: Tensor, fake: Tensor, *, least: int) -> None:
    """Refuse features that cannot be compared: ValueError saying what is wrong."""
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or len(features) < least:
            raise TooFewError(
                f"{name} features are {tuple(features.shape)}: at least {least} rows of (N, D) are needed"
            )
        if not bool(features.isfinite().all()):
            raise ValueError(f"{name} features hold NaN or infinity: the images or the extractor are broken")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real features have {real.shape[1]} columns, fake {fake.shape[1]}: use one extractor")


def _checked(images: Tensor) -> Tensor:
    """Raise ValueError unless images are float in [0, 1]: rounding to 8 bits would silently clip others."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images must be float (N, C, H, W) in [0, 1], not {images.dtype} {tuple(images.shape)}"
            + (" (bytes? use advgan.ranges.to_unit)" if images.dtype == torch.uint8 else "")
        )
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        way_out = "levels? divide by 255" if low >= 0 else "signed? use advgan.ranges.from_signed"
        raise ValueError(f"images must be in [0, 1]; got {low:.4g} to {high:.4g} ({way_out})")
    return images


def _is_inception(name: str) -> bool:
    return name.partition("@")[0] == INCEPTION


def _no_linear(name: str) -> str:
    return (
        f"{name} does not end in an nn.Linear, so its features cannot be read: "
        "use Inception, another classifier, or an Extractor with a function of your own"
    )
