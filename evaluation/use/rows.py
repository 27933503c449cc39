"""Use: accuracy on real images of a classifier trained on generated ones, and the reverse; also under attack."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

from advgan.config import NetworkConfig
from advgan.data import ImageSet
from advgan.ranges import to_unit
from attacks import Classifier
from evaluation.features.seen import Row, Sample
from evaluation.under_attack.budgets import CONVENTIONAL_EPS
from evaluation.under_attack.outcomes import measured_logits
from evaluation.use.training import Progress, Recipe

USE_METRICS = {
    "gan_train": "accuracy on real test images of a classifier that learnt from generated ones alone",
    "gan_train_real": "the same of one that learnt from as many real images: what gan_train is held against",
    "gan_test": "accuracy on generated images, by their wanted classes, of the one that learnt from real images",
    "gan_train_robust": "accuracy under attack on real test images, after adversarial training on generated ones",
    "gan_train_robust_real": "the same after adversarial training on as many real images",
    "gan_test_robust": "accuracy under attack on generated images, after adversarial training on real ones",
}
STEPS = 600
LEAST = 2
"""Images for each class, on average, from which there is something to learn."""
_BATCH = 256

Kind = Literal["generated", "real"]


class _Spec(NamedTuple):
    learns: Kind
    tested: Kind
    robust: bool


_SPECS = {
    "gan_train": _Spec("generated", "real", robust=False),
    "gan_train_real": _Spec("real", "real", robust=False),
    "gan_test": _Spec("real", "generated", robust=False),
    "gan_train_robust": _Spec("generated", "real", robust=True),
    "gan_train_robust_real": _Spec("real", "real", robust=True),
    "gan_test_robust": _Spec("real", "generated", robust=True),
}


def use_rows(
    fake: Sample,
    train_set: ImageSet,
    test_set: ImageSet,
    wanted: Collection[str],
    *,
    classifier: Classifier | None = None,
    network: NetworkConfig | None = None,
    steps: int = STEPS,
    eps: float | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[Row]:
    """Score generated images by what they teach (Shmelkov et al., 2018; Ravuri and Vinyals, 2019).

    `fake` has images (N, C, H, W) in uint8 and labels (N,), the classes that were asked for; where it has no labels,
    `classifier` gives them, which should know the data well. Up to four classifiers learn for about `steps` batches
    each from equally many images, generated or real, and from the same first weights: plainly, or by adversarial
    training within linf `eps` (by default 0.3 for grey images, 8/255 for colour). Only what the `wanted` of
    USE_METRICS need is trained, which is long still. Every number is a function of the seed; its interval is about the
    accuracy of this one classifier on new images, and does not know how another seed would have trained.

    Raises ValueError for fakes without images or labels, unlike the real ones, and for too few of either.
    """
    if not set(wanted) & set(USE_METRICS):
        return []
    if not train_set.has_classes:
        raise ValueError("use: a classifier learns of images with classes, which the real ones have not: name them")
    generated, labels = _labelled(fake, train_set, classifier)
    count, least = min(len(generated), len(train_set)), LEAST * train_set.num_classes
    if count < least:
        raise ValueError(
            f"use: {len(generated)} generated and {len(train_set)} training images of {train_set.num_classes} classes "
            f"are too few to learn from: give {least} of each at least"
        )
    kind = "grey" if train_set.channels == 1 else "colour"
    recipe = Recipe(
        network=network or NetworkConfig(),
        steps=steps,
        eps=CONVENTIONAL_EPS["linf", train_set.channels] if eps is None else eps,
        origin=f"the default for {kind} images" if eps is None else "as given",
        seed=seed,
        device=device,
        progress=progress,
    )
    lessons: dict[Kind, ImageSet] = {"generated": generated.draw(count, seed), "real": train_set.draw(count, seed)}
    study = _Study(recipe, lessons, {"generated": generated, "real": test_set}, labels)
    return [study.row(metric) for metric in USE_METRICS if metric in wanted]


@dataclass(frozen=True)
class _Study:
    """Images to learn from and to be tested on, and the classifiers, each of which is trained once."""

    recipe: Recipe
    lessons: dict[Kind, ImageSet]
    tests: dict[Kind, ImageSet]
    labels: str
    """Where the labels of generated images come from."""
    fitted: dict[tuple[Kind, bool], Classifier] = field(default_factory=dict)

    def row(self, metric: str) -> Row:
        spec = _SPECS[metric]
        judge, images = self.judge(spec.learns, robust=spec.robust), self.tests[spec.tested]
        if spec.robust:
            images = self.recipe.attacked(images)
            found = self.recipe.robust_accuracy(judge, images)
        else:
            found = self.recipe.accuracy(judge, images)
        count, labels = len(self.lessons[spec.learns]), f"generated ones have {self.labels}; "
        protocol = (
            f"accuracy{' under attack' * spec.robust} on {len(images)} {_called(spec.tested)} of a classifier that "
            f"learnt from {count} {spec.learns} ones ({self.recipe.words(count, robust=spec.robust)}); "
            f"{labels * ('generated' in spec)}Wilson interval over images, given this classifier"
        )
        return metric, found, len(images), protocol

    def judge(self, learns: Kind, *, robust: bool) -> Classifier:
        key = learns, robust
        if key not in self.fitted:
            name = f"{'robust ' * robust}classifier from {learns} images"
            self.fitted[key] = self.recipe.fit(self.lessons[learns], name, robust=robust)
        return self.fitted[key]


def _called(kind: Kind) -> str:
    return "real test images" if kind == "real" else "generated images"


def _labelled(fake: Sample, like: ImageSet, classifier: Classifier | None) -> tuple[ImageSet, str]:
    """The fakes as a set of the same classes, and whose labels they have, in words."""
    images = fake.images
    if images is None or images.dtype != torch.uint8:
        raise ValueError("use: needs the generated images themselves, in uint8; points have no such scores")
    if images.shape[1:] != like.images.shape[1:]:
        raise ValueError(
            f"use: generated images are {tuple(images.shape[1:])}, real ones {tuple(like.images.shape[1:])}"
        )
    if fake.labels is not None:
        labels, words = fake.labels.cpu(), "the labels that were asked for"
    elif classifier is not None:
        logits = [measured_logits(classifier, to_unit(batch)) for batch in images.split(_BATCH)]
        labels, words = torch.cat(logits).argmax(dim=1), f"the labels that {classifier.name or 'a classifier'} sees"
    else:
        raise ValueError("use: the generated images have no labels; give a classifier of the data to label them")
    if labels.shape != (len(images),) or not 0 <= int(labels.min()) <= int(labels.max()) < like.num_classes:
        raise ValueError(
            f"use: {len(images)} generated images need as many labels from 0 to {like.num_classes - 1}; got "
            f"{len(labels)} from {int(labels.min())} to {int(labels.max())}"
        )
    return ImageSet(images.cpu(), labels, like.classes, fake.name), words
