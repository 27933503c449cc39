"""Checks of an extractor by its features: constant columns, dependence on the batch, accuracy of a judge."""

import torch
from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import Extractor, Features, as_double
from evaluation.record.findings import Finding

MANY_DEAD = 0.5
"""Share of features constant over the real images from which the extractor gets a warning."""
BATCH_TOLERANCE = 1e-5
"""Tolerated relative change of features in another batch: float32 convolutions give 1e-6, batch norm in training mode
far more."""
ACCELERATED_TOLERANCE = 1e-4
"""`BATCH_TOLERANCE` on an accelerator, whose convolution algorithm depends on the number of images."""


def extractor_findings(real: Features, fake: Features) -> list[Finding]:
    """Look for features (columns) that are constant in one of both sets or in both."""
    dead_real, dead_fake = constant_columns(real.values), constant_columns(fake.values)
    found = [_dead(real, int(dead_real.sum())), _frozen(real, int((dead_fake & ~dead_real).sum()))]
    return [finding for finding in found if finding is not None]


def judge_findings(extractor: Extractor) -> list[Finding]:
    """Whether the classifier that judges knows the data well enough for its features and classes to carry scores."""
    known = extractor.held_out
    if known is None or not known.is_weak:
        return []
    return [
        Finding(
            "warning",
            "A weak judge",
            f"Images are judged by {extractor.name} {extractor.digest}, {known.words}; always naming the commonest "
            f"class is right in {known.guess:.1%}.",
            "Distances, precision, recall and classes mean no more than it knows of the images: fit a better one with "
            "advgan fit and give its run as --features, or use --features inception.",
            code="weak-judge",
        )
    ]


def constant_columns(features: Tensor) -> Tensor:
    """Which features have one value in all rows: (N, D) to (D,) bool."""
    return (features.amax(dim=0) == features.amin(dim=0)).cpu()


def batch_dependence(extractor: Extractor, images: Tensor) -> float:
    """Largest change of a feature when images are seen one by one and in another company, by the features' size.

    0 for a network that sees each image by itself exactly; float32 convolutions give about 1e-6, because the sums are
    made in another order. `images` are (N, C, H, W) in [0, 1], at least 2; two dozen are enough.
    """
    return _change(extractor, images)[0]


@torch.no_grad()
def _change(extractor: Extractor, images: Tensor) -> tuple[float, torch.device]:
    """`batch_dependence`, and where the features are."""
    order = permutation(0, len(images))
    seen = extractor.function(images[order])[0]
    whole = as_double(seen)[order.argsort()]
    alone = torch.cat([as_double(extractor.function(image[None])[0]) for image in images])
    size = float(whole.abs().amax())
    return (float((whole - alone).abs().amax()) / size if size else 0.0), seen.device


def batch_findings(extractor: Extractor, images: Tensor) -> list[Finding]:
    """Whether an image's features depend on which other images are looked at beside it."""
    change, device = _change(extractor, images)
    tolerance = BATCH_TOLERANCE if device.type == "cpu" else ACCELERATED_TOLERANCE
    if not change > tolerance:  # or NaN, which has a finding of its own
        return []
    return [
        Finding(
            "warning",
            "Features depend on the batch",
            f"Features of {extractor.name} change by {change:.2g} of their size when {len(images)} images are seen one "
            f"by one; rounding explains less than {tolerance:g}.",
            "Put its batch norms and dropout into eval mode, or the scores change with --batch-size.",
            code="batch-dependent-features",
        )
    ]


def _dead(real: Features, count: int) -> Finding | None:
    columns = real.values.shape[1]
    if count == 0:
        return None
    return Finding(
        "warning" if count >= MANY_DEAD * columns else "info",
        "Features that never change",
        f"{count:,} of {columns:,} features of {real.extractor} are the same in all {len(real):,} real images: they "
        "carry nothing, and the covariance is singular.",
        "Distances are right without them. Where it is most of them, the extractor does not know these images: check "
        "its weights and the range that it takes, or choose another.",
        code="dead-features",
    )


def _frozen(real: Features, count: int) -> Finding | None:
    columns = real.values.shape[1]
    if count == 0:
        return None
    return Finding(
        "warning",
        "Features that never change in generated images",
        f"{count:,} of {columns:,} features of {real.extractor} vary among the real images, and are constant among the "
        "generated ones.",
        "The generator leaves out what these features see: it has collapsed in part, or too few images were drawn.",
        code="frozen-features",
    )
