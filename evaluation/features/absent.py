"""Metrics that some images do not define: each becomes an absent row with its reason, without affecting the others."""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import torch

from evaluation.features.features import TooFewError
from evaluation.features.seen import Row
from evaluation.record.findings import Finding

DEGENERATE = (ValueError, ArithmeticError, torch.linalg.LinAlgError)  # type: ignore[attr-defined]
"""Exceptions that degenerate images can cause; others (TypeError, AttributeError, ...) are bugs and are not caught."""
NO_VALUE = "these images do not define it: it would be 0 over 0"

log = logging.getLogger("advgan")


@dataclass(frozen=True)
class Made:
    """Rows of the metrics that could be computed, and for each other metric the reason why not."""

    rows: list[Row]
    absent: dict[str, Exception]
    """By the metric's word."""

    def __add__(self, other: "Made") -> "Made":
        return Made([*self.rows, *other.rows], {**self.absent, **other.absent})


NOTHING = Made([], {})


def made(rows_of: Callable[[Collection[str]], Iterable[Row]], words: Collection[str]) -> Made:
    """Compute the rows of some metrics; where that fails, of each metric by itself, so that one failure costs no other.

    `rows_of` takes the metrics' words and returns their rows. A NaN value counts as absent.
    """
    if not words:
        return NOTHING
    try:
        rows = list(rows_of(words))
    except DEGENERATE as error:
        if len(words) > 1:
            return sum((made(rows_of, (word,)) for word in words), NOTHING)
        (word,) = words
        log.debug("%s: absent, since %s", word, reason(error))
        return Made([], {word: error})
    unknown = {metric: ValueError(NO_VALUE) for metric, estimate, *_ in rows if math.isnan(estimate.value)}
    return Made([row for row in rows if row[0] not in unknown], dict(unknown))


def absent_findings(absent: Mapping[str, Exception], *, extractor: str = "") -> list[Finding]:
    """Report absent metrics with their reasons, one finding per reason; an info for too few images, else a warning."""
    words: dict[tuple[bool, str], list[str]] = {}
    for word, error in absent.items():
        words.setdefault((isinstance(error, TooFewError), reason(error)), []).append(word)
    where = f" with the features of {extractor}" if extractor else ""
    return [
        Finding(
            "info" if few else "warning",
            "Metrics that could not be made",
            f"{', '.join(missing)}{where}: {text}",
            "The other scores stand. Give more images." if few else "The other scores stand. Look at the images.",
            code="metric-not-made",
        )
        for (few, text), missing in words.items()
    ]


def judged(what: str, judge: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return the findings of `judge()`; where degenerate images make it fail, a finding that says so."""
    try:
        return list(judge())
    except DEGENERATE as error:
        log.debug("%s: not judged", what, exc_info=True)
        return [
            Finding(
                "warning",
                "Something could not be judged",
                f"{what}: {reason(error)}",
                "The scores stand, without what this would have said of them.",
                code="not-judged",
            )
        ]


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError) and words else f"{type(error).__name__}: {words}".rstrip(": ")
