"""Which numbers of several runs may stand in one row."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from evaluation.record.scores import Score

_NUMBER = re.compile(r"(?<!k = )(?<!order )(?<![\w.^])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?:\s?%)?|\binf\b")
_MARKS = re.compile(r"; struck, as warnings speak against it:[^;]*| and the trust panel\b|; true float32 on \w+")
_BUDGET = re.compile(r"(?<=-)(\d+)/(\d+)$|(?<=-)(\d*\.?\d+(?:e[-+]?\d+)?)$")


class Row(NamedTuple):
    """One number in every run that has it (None in the others).

    `note` says what sets the row apart from others of the same metric and setting; `alone` that data, judge (what saw
    the images, by its weights) or protocol do, so that the rows must not be compared.
    """

    metric: str
    setting: str
    note: str
    alone: bool
    cells: tuple[Score | None, ...]

    @property
    def several(self) -> bool:
        """Whether two runs or more have the number."""
        return sum(cell is not None for cell in self.cells) > 1


def pivot(runs: Sequence[Sequence[Score]]) -> list[Row]:
    """Put scores into one row only where metric, setting, data, judge and protocol agree.

    Numbers of images, and what else was counted or measured on the way, do not part rows: of a protocol its words
    count, and how many neighbours it asks. A budget is a number, however it is spelled. A run that has several such
    scores (of several models, say) gets a row for each of them, aligned with the rows of other runs by the subject
    without its hash, or where that is not enough by the whole subject or the seed.
    """
    keys = dict.fromkeys((score.metric, _setting(score)) for scores in runs for score in scores)
    return [row for metric, setting in keys for row in _rows(metric, setting, runs)]


def without_hash(text: str) -> str:
    return re.sub(r"[\s@#:(\[-]*\b[0-9a-f]{8,64}\b[)\]]*", "", text)


_PARTING: dict[str, Callable[[Score], str]] = {
    "data": lambda score: score.data,
    "judge": lambda score: score.extractor,
    "preparation": lambda score: _words(score.preparation),
    "protocol": lambda score: _words(score.protocol),
}
_SPLITS: tuple[dict[str, Callable[[Score], str]], ...] = (
    {},
    {"subject": lambda score: without_hash(score.subject)},
    {"subject": lambda score: score.subject},
    {"subject": lambda score: score.subject, "seed": lambda score: str(score.seed)},
)


def _rows(metric: str, setting: str, runs: Sequence[Sequence[Score]]) -> list[Row]:
    here = [[score for score in scores if (score.metric, _setting(score)) == (metric, setting)] for scores in runs]
    for split in _SPLITS:
        details = {**_PARTING, **split}
        cells: dict[tuple[str, ...], list[list[Score]]] = {}
        for place, scores in enumerate(here):
            for score in scores:
                variant = tuple(detail(score) for detail in details.values())
                cells.setdefault(variant, [[] for _ in runs])[place].append(score)
        if all(len(cell) < 2 for row in cells.values() for cell in row):
            break
    differing = [name for place, name in enumerate(details) if len({variant[place] for variant in cells}) > 1]
    alone = not _PARTING.keys().isdisjoint(differing)
    variants = [dict(zip(details, variant, strict=True)) for variant in cells]
    rows = []
    for described, row in zip(variants, cells.values(), strict=True):
        note = "; ".join(f"{name}: {_own(described[name], [one[name] for one in variants])}" for name in differing)
        for copy in range(max(len(cell) for cell in row)):  # more than one only where a run holds a score twice
            line = tuple(cell[copy] if copy < len(cell) else None for cell in row)
            spelled = next(score.setting for score in line if score is not None)
            rows.append(Row(metric, spelled, note, alone, line))
    return rows


def _setting(score: Score) -> str:
    """The setting with its budget as a number of six digits."""

    def number(match: re.Match[str]) -> str:
        levels, of, decimal = match.groups()
        return f"{float(decimal) if decimal else int(levels) / int(of):.6g}" if decimal or int(of) else match[0]

    return _BUDGET.sub(number, score.setting)


def _words(text: str) -> str:
    """A protocol or preparation without what was counted or measured, the hashes, and what warnings add to it."""
    return _NUMBER.sub("#", without_hash(_MARKS.sub("", text)))


def _own(text: str, others: Sequence[str]) -> str:
    """Of a text in clauses those that not all have."""
    clauses = text.split("; ")
    own = [clause for clause in clauses if not all(clause in other.split("; ") for other in others)]
    return "; ".join(own).replace("#", "…") or "nothing more is said"
