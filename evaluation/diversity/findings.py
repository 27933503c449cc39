"""Findings on diversity: few distinct images, similar images, regions of feature space over- or under-represented."""

import math
from collections.abc import Iterable, Mapping

from evaluation.features.seen import Row
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

UNEVEN = 0.25
"""Share of different bins that counts as a failure; a real set that was gathered apart may exceed chance as well."""
FEWER = 10
"""Factor by which the support must be below that of the real images, besides below the number of fakes."""
ALIKE = 2 / 3
"""Ratio to the Vendi score of real images below which fakes are alike; it is low for all of one class, and for blur."""
REPEATED = 0.5
"""Distance of two fakes of a class over that of two reals below which they count as alike."""

Values = Mapping[str, Estimate]


def diversity_findings(rows: Iterable[Row]) -> list[Finding]:
    """Judge rows of `diversity_rows`: a failure is named where the whole interval shows it."""
    known = list(rows)
    values = {word: estimate for word, estimate, *_ in known}
    drawn = {word: samples for word, _, samples, _ in known}.get("support_size", 0)
    found = (_few(values, drawn), _narrow(values), _repeating(values), _uneven(values))
    return [finding for finding in found if finding is not None]


def _few(values: Values, drawn: int) -> Finding | None:
    found, real = _estimates(values, "support_size", "support_size_real")
    if not found.high < min(drawn, real.low / FEWER):
        return None
    return Finding(
        "warning",
        "The generator draws few different images",
        f"About {found.value:.3g} ({found.low:.3g} to {found.high:.3g}) of them, by how often two of {drawn} are "
        f"near-duplicates; of real images at least {real.low:.3g}.",
        "It repeats itself: a collapsed generator, one that ignores its latents in part, or copies of a small set.",
        code="few-distinct-images",
    )


def _narrow(values: Values) -> Finding | None:
    fake, real = _estimates(values, "vendi", "vendi_real")
    if not fake.high < ALIKE * real.low:
        return None
    return Finding(
        "warning",
        "The generated images are alike",
        f"They amount to {fake.value:.3g} ({fake.low:.3g} to {fake.high:.3g}) different ones by their similarities, as "
        f"many real images to {real.value:.3g}.",
        "It has collapsed to part of the data, or draws no detail: lower the learning rates, use larger batches, "
        "packing or another loss.",
        code="low-vendi-score",
    )


def _repeating(values: Values) -> Finding | None:
    (ratio,) = _estimates(values, "class_diversity")
    fake, real = _estimates(values, "ms_ssim", "ms_ssim_real")
    evidence = []
    if ratio.high < REPEATED:
        evidence.append(
            f"Two fakes of a class are {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) times as far apart as "
            "two real images"
        )
    if fake.low > (1 + real.high) / 2:
        evidence.append(f"The structural similarity of two is {fake.value:.2f}, that of real images {real.value:.2f}")
    if not evidence:
        return None
    return Finding(
        "warning",
        "Images of one class are alike",
        f"{'. '.join(evidence)}.",
        "The generator draws little but the class: it ignores its latents. Train it with packing or minibatch "
        "discrimination, or weigh the class condition less.",
        code="alike-within-class",
    )


def _uneven(values: Values) -> Finding | None:
    (share,) = _estimates(values, "ndb")
    if not share.low > UNEVEN:
        return None
    return Finding(
        "warning",
        "Regions of the data are drawn too often or too seldom",
        f"In {share.value:.0%} ({share.low:.0%} to {share.high:.0%}) of the regions of the features the share of fakes "
        "differs significantly from that of real images; by chance 5 % do.",
        "See coverage and the class histogram for what is missing.",
        code="uneven-bins",
    )


def _estimates(values: Values, *words: str) -> tuple[Estimate, ...]:
    """The estimates of some words; NaN, which no bound is passed with, for one that is not there."""
    return tuple(values.get(word, Estimate(math.nan, math.nan, math.nan)) for word in words)
