"""Significant differences between generators (Holm, 1979), and the sample sizes that others would need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy import stats

from evaluation.record.findings import Finding
from evaluation.record.scores import Score, is_control
from evaluation.statistics.intervals import CONFIDENCE, NORMAL, Estimate
from evaluation.statistics.significance import holm, independent

LEVEL = 1 - CONFIDENCE
"""Chance of any false claim among all pairs of one metric (Holm, 1979)."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two generators in one metric under one protocol."""

    metric: str
    setting: str
    first: Score
    second: Score
    value: float
    """The first's value minus the second's."""
    low: float
    high: float
    """95 % interval of the difference; NaN where one of the two has none."""
    p_value: float
    """Chance of so large a difference between equals, corrected for the number of pairs."""

    @property
    def is_significant(self) -> bool:
        """Whether chance is ruled out at `LEVEL` over all pairs of this metric."""
        return self.p_value < LEVEL

    @property
    def samples_needed(self) -> int | None:
        """Images of each that would make a difference of this size significant; None where it is, or is 0 or unknown.

        The interval's width falls with the root of their number; the real images must grow with them.
        """
        half = (self.high - self.low) / 2
        if self.is_significant or self.value == 0 or not math.isfinite(half):
            return None
        least = max(self.first.samples, self.second.samples)
        # A difference that chance would find again in four of five repetitions: 1.96 + 0.84 standard errors.
        power = (NORMAL + float(stats.norm.ppf(0.8))) / NORMAL
        return math.ceil(least * (power * half / abs(self.value)) ** 2)


def differences(runs: Sequence[Sequence[Score]]) -> list[Difference]:
    """Compare each pair of generators in every metric that both have under one setting, against the same real images.

    The two are taken for independent. Both were held against the same real images, which makes the true interval of
    the difference narrower: so a difference that is called significant is so. The standard error of a value is read off
    its interval. Scores of different settings, protocols or data are never compared.
    """
    found: list[Difference] = []
    runs = [[score for score in scores if not is_control(score.metric)] for scores in runs]
    for metric, setting in dict.fromkeys((score.metric, score.setting) for scores in runs for score in scores):
        here = [score for scores in runs for score in scores if (score.metric, score.setting) == (metric, setting)]
        pairs = [_difference(first, second) for first, second in combinations(here, 2) if comparable(first, second)]
        found += _corrected([pair for pair in pairs if math.isfinite(pair.p_value)])
    return found


def comparable(first: Score, second: Score) -> bool:
    """Whether two values mean the same: of other subjects, by one extractor, against the same number of real images."""
    same = ("metric", "setting", "data", "extractor", "preparation", "num_real", "samples")
    return first.subject != second.subject and all(getattr(first, name) == getattr(second, name) for name in same)


def difference_scores(found: Sequence[Difference]) -> list[Score]:
    """The differences as rows of the table; their setting says the verdict."""
    return [
        replace(
            one.first,
            subject=f"{one.first.subject} - {one.second.subject}",
            setting=f"{one.setting}: {'significant' if one.is_significant else 'may be chance'}",
            metric=f"difference/{one.metric}",
            value=one.value,
            low=one.low,
            high=one.high,
            protocol=f"first minus second, taken for independent; p = {one.p_value:.2g} (Holm over the pairs of a "
            f"metric); {one.first.protocol}",
        )
        for one in found
    ]


def comparison_findings(found: Sequence[Difference], runs: Sequence[Sequence[Score]] = ()) -> list[Finding]:
    """Name the differences that these numbers of images cannot show, and the scores that nobody may compare."""
    return [*_two_judges(runs), *_unclear(found)]


def _two_judges(runs: Sequence[Sequence[Score]]) -> list[Finding]:
    """Metrics that several judges gave: one network's distance, precision or class is not of another's scale."""
    judges: dict[tuple[str, str, str], set[str]] = {}
    for score in (score for scores in runs for score in scores if score.extractor):
        judges.setdefault((score.metric, score.setting, score.data), set()).add(score.extractor)
    apart = {metric: sorted(names) for (metric, _, _), names in judges.items() if len(names) > 1}
    if not apart:
        return []
    names = sorted({name for several in apart.values() for name in several})
    return [
        Finding(
            "warning",
            "Scores of two judges are not compared",
            f"{', '.join(list(apart)[:5])}{' and more' * (len(apart) > 5)} were seen by {' and '.join(names)}: "
            "networks of other weights, whose features have scales of their own.",
            "Score all generators in one call of advgan eval, or name one judge for all, --features RUN.",
            code="two-judges",
        )
    ]


def _unclear(found: Sequence[Difference]) -> list[Finding]:
    unclear = [one for one in found if not one.is_significant and one.samples_needed]
    if not unclear:
        return []
    words = "; ".join(
        f"{one.metric} of {one.first.subject} and {one.second.subject} (about {one.samples_needed:,} images each)"
        for one in unclear[:5]
    )
    more = f" and {len(unclear) - 5} more" if len(unclear) > 5 else ""
    return [
        Finding(
            "info",
            "Some differences may be chance",
            f"{len(unclear)} of {len(found)} differences are not significant: {words}{more}.",
            "Do not rank generators by these, or score as many images as are named.",
            code="unclear-differences",
        )
    ]


def _difference(first: Score, second: Score) -> Difference:
    found = independent(*(Estimate(score.value, score.low, score.high) for score in (first, second)))
    return Difference(
        metric=first.metric,
        setting=first.setting,
        first=first,
        second=second,
        value=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
    )


def _corrected(pairs: Sequence[Difference]) -> list[Difference]:
    """The pairs of one metric with p-values by Holm's step-down rule."""
    corrected = holm([pair.p_value for pair in pairs])
    return [replace(pair, p_value=p_value) for pair, p_value in zip(pairs, corrected, strict=True)]
