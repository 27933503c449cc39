"""Findings on generated images as training data: low diversity within classes, wrong labels, lost robustness."""

from collections.abc import Iterable, Mapping

from evaluation.features.seen import Row
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

MARGIN = 0.1
"""Accuracy lost that counts; training again with another seed changes less."""


def use_findings(rows: Iterable[Row]) -> list[Finding]:
    """Judge what `use_rows` gave, as far as the rows are there."""
    values = {metric: estimate for metric, estimate, *_ in rows}
    found = []
    if below(values, "gan_train", "gan_test") and below(values, "gan_train", "gan_train_real"):
        found.append(_unvaried(values))
    if below(values, "gan_test", "gan_train_real"):
        found.append(_wrong(values))
    if below(values, "gan_train_robust", "gan_train_robust_real"):
        found.append(_fragile(values))
    return found


def below(values: Mapping[str, Estimate], lower: str, higher: str) -> bool:
    """Whether one rate is less than another by MARGIN at least, and beyond both intervals; False if one is missing."""
    if lower not in values or higher not in values:
        return False
    low, high = values[lower], values[higher]
    return low.high < high.low and low.value + MARGIN <= high.value


def _unvaried(values: Mapping[str, Estimate]) -> Finding:
    return Finding(
        "warning",
        "Generated classes lack variety",
        f"A classifier that learns from generated images knows {values['gan_train'].value:.1%} of the real ones, from "
        f"as many real images {values['gan_train_real'].value:.1%}; yet {values['gan_test'].value:.1%} of the "
        "generated ones are of their class.",
        "Images that the classifier takes for their class, and few kinds of each: the generator has collapsed within "
        "classes, or misses some. Look at recall, coverage and the diversity within classes.",
        code="use-unvaried",
    )


def _wrong(values: Mapping[str, Estimate]) -> Finding:
    return Finding(
        "warning",
        "Generated images are not of their class",
        f"A classifier that learnt from real images gives {values['gan_test'].value:.1%} of the generated ones their "
        f"label, and {values['gan_train_real'].value:.1%} of real test images.",
        "Do not train on their labels: let a classifier of the data label the images, or train the generator longer.",
        code="use-wrong-labels",
    )


def _fragile(values: Mapping[str, Estimate]) -> Finding:
    return Finding(
        "warning",
        "Generated images teach less robustness",
        f"After adversarial training on them {values['gan_train_robust'].value:.1%} of real test images withstand the "
        f"attack, on as many real images {values['gan_train_robust_real'].value:.1%}.",
        "Do not put them in place of real images in adversarial training; added to these they may still help, which "
        "`advgan fit --extra` shows.",
        code="use-less-robust",
    )
