"""The rows of a comparison held against chance: which runs differ, by how much, and what cannot be compared."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from evaluation.record.answers import Flags
from evaluation.record.scores import Score
from evaluation.report.text import direction
from evaluation.side_by_side.otherwise import attacked_otherwise, sizes_differ, struck
from evaluation.side_by_side.rows import Row, pivot
from evaluation.side_by_side.sides import Side
from evaluation.statistics.intervals import CONFIDENCE, Estimate
from evaluation.statistics.significance import Contrast, holm, independent, paired

LEVEL = 1 - CONFIDENCE
"""Chance of any false claim among all that is tested on a page."""
FIRST = 6
"""Rows that are shown before the others."""
SHARED = 0.5
"""Of the smaller run's images that both must have seen, for a test on those alone."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two runs in one row, by their places; `found` is the later one's value minus the earlier one's."""

    first: int
    second: int
    found: Contrast
    p_value: float = math.nan
    """Corrected for all that is tested on the page (Holm); NaN where nothing is."""
    reason: str = ""
    """Why the two are not tested; empty where they are."""

    @property
    def is_significant(self) -> bool:
        return self.p_value < LEVEL


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A row with what is known of every two runs that have it."""

    row: Row
    pairs: Sequence[Pair]

    @property
    def tested(self) -> list[Pair]:
        return [pair for pair in self.pairs if not math.isnan(pair.p_value)]

    @property
    def p_value(self) -> float:
        """The smallest of its pairs; 1 where none is tested."""
        return min((pair.p_value for pair in self.tested), default=1.0)

    @property
    def reasons(self) -> list[str]:
        """Why pairs are not tested, each reason once."""
        return list(dict.fromkeys(pair.reason for pair in self.pairs if pair.reason))

    def winner(self, pair: Pair) -> int:
        """The place of the better one of two."""
        return pair.second if (pair.found.value > 0) == (direction(self.row.metric) == "↑") else pair.first

    @property
    def best(self) -> int | None:
        """The place of the run that is better than each other one by more than chance; None where none is."""
        runs = [place for place, cell in enumerate(self.row.cells) if cell is not None]
        wins = [self.winner(pair) for pair in self.tested if pair.is_significant]
        return next((run for run in runs if len(runs) > 1 and wins.count(run) == len(runs) - 1), None)


def contrasts(sides: Sequence[Side]) -> list[Compared]:
    """Compare every two runs in every row, the rows that matter most first.

    Accuracies of which both runs kept the answers are compared on the images that both saw (McNemar's exact test);
    everything else by its intervals, the two taken for independent. What says better or worse is tested, all of it
    together by Holm's rule: the chance of any false claim on the page is 5 %. Of other metrics the difference is told.

    The order: rows that two runs or more have, before those of one alone; rows that may be compared, before those that
    may not; the big numbers of the runs' own reports, in their order; then rows by their p-value, the smallest first;
    and what measures cost or size last. Equals stay in the order of the runs.
    """
    found = [_compared(row, sides) for row in pivot([side.scores for side in sides])]
    asked = [(row, place) for row, one in enumerate(found) for place in range(len(one.pairs)) if _asks(one, place)]
    values = dict(zip(asked, holm([found[row].pairs[place].found.p_value for row, place in asked]), strict=True))
    corrected = [_with_values(one, values, row) for row, one in enumerate(found)]
    first = list(dict.fromkeys(key for side in sides for key in side.first))
    return sorted(corrected, key=lambda one: _rank(one, first))


def _compared(row: Row, sides: Sequence[Side]) -> Compared:
    places = [place for place, cell in enumerate(row.cells) if cell is not None]
    return Compared(row=row, pairs=[_pair(row, sides, *two) for two in combinations(places, 2)])


def _pair(row: Row, sides: Sequence[Side], first: int, second: int) -> Pair:
    mine, theirs = row.cells[first], row.cells[second]
    assert mine is not None
    assert theirs is not None
    reason = (
        sizes_differ(mine, theirs)
        or attacked_otherwise((sides[first], mine), (sides[second], theirs))
        or struck(*((sides[place].name, score) for place, score in ((first, mine), (second, theirs))))
    )
    found = _on_shared(sides[first], sides[second], mine, theirs) or independent(_estimate(theirs), _estimate(mine))
    if mine.low == mine.high and theirs.low == theirs.high and mine.value != theirs.value:
        found = found._replace(p_value=math.nan)  # without width an interval knows of no chance
    return Pair(first=first, second=second, found=found, reason=reason)


def _on_shared(first: Side, second: Side, mine: Score, theirs: Score) -> Contrast | None:
    """Compared on the images that both runs saw; None where they kept no answers, other ones, or share too few."""
    flags = [_flags(side, score) for side, score in ((first, mine), (second, theirs))]
    if flags[0] is None or flags[1] is None or first.answers is None or second.answers is None:
        return None
    _, *places = np.intersect1d(first.answers.images, second.answers.images, assume_unique=True, return_indices=True)
    if len(places[0]) < max(1, SHARED * min(mine.samples, theirs.samples)):
        return None
    one, other = flags[0][places[0]], flags[1][places[1]]
    return paired(int((other & ~one).sum()), int((one & ~other).sum()), len(one))


def _flags(side: Side, score: Score) -> Flags | None:
    """The answers behind a score, where they are truly those: their mean is its value."""
    flags = side.answers.flags.get((score.metric, score.setting)) if side.answers else None
    if flags is None or len(flags) != score.samples or not math.isclose(flags.mean(), score.value, abs_tol=1e-9):
        return None
    return flags


def _estimate(score: Score) -> Estimate:
    return Estimate(score.value, score.low, score.high)


def _asks(one: Compared, place: int) -> bool:
    """Whether a pair is tested: it may be, chance is known, and one side is better in it."""
    pair = one.pairs[place]
    return bool(direction(one.row.metric)) and not pair.reason and not math.isnan(pair.found.p_value)


def _with_values(one: Compared, values: dict[tuple[int, int], float], row: int) -> Compared:
    pairs = [replace(pair, p_value=values.get((row, place), math.nan)) for place, pair in enumerate(one.pairs)]
    return replace(one, pairs=pairs)


def _rank(one: Compared, first: Sequence[tuple[str, str]]) -> tuple[bool, bool, int, bool, float]:
    own = [first.index(key) for key in _keys(one.row.cells) if key in first]
    refused = bool(one.pairs) and all(pair.reason for pair in one.pairs)
    return (not one.row.several, refused, min(own, default=len(first)), not one.tested, one.p_value)


def _keys(cells: Iterable[Score | None]) -> list[tuple[str, str]]:
    return [(cell.metric, cell.setting) for cell in cells if cell is not None]
