"""Findings on precision, recall, density and coverage: duplicates among real images, few samples, outliers."""

from collections.abc import Sequence

from evaluation.features.seen import Row, Seen
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import wilson

REPEATED = 0.01
"""Share of repeated reals that is worth a word: their neighbourhoods are as narrow as the copies are close."""
FEW = 50
"""Samples below which half of them hardly make neighbourhoods, and intervals are rough."""
WIDE = 0.3
"""Width of an interval that is mainly due to few images, if it is also twice that of independent ones."""


def neighbour_findings(seen: Seen, rows: Sequence[Row]) -> list[Finding]:
    """Judge rows of `neighbour_rows` by the samples that they were made of; nothing where there are no such rows."""
    if not any(metric in ("precision", "recall", "density", "coverage") for metric, *_ in rows):
        return []
    found = [_repeated_reals(seen), _few(seen), _few_decide(seen, rows)]
    return [finding for finding in found if finding is not None]


def _repeated_reals(seen: Seen) -> Finding | None:
    share = seen.real.repeated_share
    if share <= REPEATED:
        return None
    return Finding(
        "warning",
        "Real images are repeated",
        f"{share:.1%} of {len(seen.real)} real images have the features of another one: their neighbourhoods shrink, "
        "to a point where there are more than k copies.",
        "Leave the copies out of the reference, or read density and coverage beside their value for held-out images.",
        code="repeated-reals",
    )


def _few(seen: Seen) -> Finding | None:
    smaller = min(len(seen.real), len(seen.fake))
    if smaller >= FEW:
        return None
    return Finding(
        "warning",
        "Too few images for neighbourhoods",
        f"{len(seen.real)} real and {len(seen.fake)} generated images: neighbourhoods reach far, and the intervals, "
        "which come from halves of the sets, are rough.",
        f"Use {FEW} images of each at least; published numbers use 10,000 or more.",
        code="few-for-neighbours",
    )


def _few_decide(seen: Seen, rows: Sequence[Row]) -> Finding | None:
    counts = {"precision": len(seen.fake), "recall": len(seen.real), "coverage": len(seen.real)}
    for metric, estimate, *_ in rows:
        if metric not in counts:
            continue
        alone = wilson(round(estimate.value * counts[metric]), counts[metric])
        if estimate.high - estimate.low > max(WIDE, 2 * (alone.high - alone.low)):
            return Finding(
                "warning",
                "A few images decide the score",
                f"{metric} is {estimate.value:.3f}, {estimate.low:.3f} to {estimate.high:.3f}, where {counts[metric]} "
                f"independent images would give {alone.low:.3f} to {alone.high:.3f}: the wide neighbourhoods of a few "
                "outlying images hold many others. Even this interval may be too narrow.",
                "Use more images, or read density and coverage, which outliers move less.",
                code="few-images-decide",
            )
    return None
