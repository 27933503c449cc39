"""The outcome of a comparison in plain words: who is better in what, by how much, and how sure that is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from evaluation.record.scores import Score, word_of
from evaluation.report.text import format_value
from evaluation.side_by_side.contrasts import Compared, Pair
from evaluation.side_by_side.differences import chance_words, difference_words
from evaluation.side_by_side.otherwise import WORST_CASE
from evaluation.side_by_side.sides import Side

MOST = 3
"""Further differences of a run that are named; the others are counted."""
DISTANCES = {"fid", "fid_infinity", "kid", "kd", "cmmd", "mind"}


def comparison_verdict(sides: Sequence[Side], rows: Sequence[Compared]) -> str:
    """Say in a few sentences which run is better, from rows in the order of what matters.

    The first difference beyond chance comes with values, difference, interval and p-value, the others by name. Where
    there is none the nearest is told, and where nothing could be tested, why.
    """
    if same := _same(sides):
        return same
    tested = [(row, pair) for row in rows for pair in row.tested]
    sure = [(row, pair) for row, pair in tested if pair.is_significant]
    if not tested:
        said = [_nothing_shared(sides, rows)]
    elif sure:
        said = _beyond_chance(sides, rows, sure, len(tested))
    else:
        row, pair = min(tested, key=lambda one: one[1].p_value)
        said = [
            f"No difference is beyond chance ({_corrected(len(tested))}). The nearest to it is that in {called(row)}: "
            f"{_numbers(sides, row, [pair])}."
        ]
    return " ".join([*said, *_refused(rows), *_doubts(sides)])


def called(row: Compared) -> str:
    """A metric with its setting, as words."""
    cell = _cells(row)[0]
    if cell.metric == "clean_accuracy":
        return f"accuracy on clean images{_whose(row)}"
    if cell.metric.startswith("robust_accuracy"):
        return f"{_eight_bit(cell)}accuracy {_under(cell)}{_whose(row)}"
    return f"{cell.metric}{_whose(row)}"


def _beyond_chance(
    sides: Sequence[Side], rows: Sequence[Compared], sure: Sequence[tuple[Compared, Pair]], tests: int
) -> list[str]:
    lead = next(row for row in rows if any(pair.is_significant for pair in row.tested))
    sharpest = min(lead.tested, key=lambda pair: pair.p_value)
    winner = lead.winner(sharpest) if lead.best is None else lead.best
    pairs = [pair for pair in lead.tested if pair.is_significant and lead.winner(pair) == winner]
    losers = " and ".join(sides[pair.first + pair.second - winner].name for pair in pairs)
    rest = [(row, pair) for row, pair in sure if row is not lead or pair not in pairs]
    first = f"{sides[winner].name} {_is_better(lead)} {losers}{_where(lead)}: {_numbers(sides, lead, pairs)}"
    last = [*_others(sides, rest)] or ["Nothing else differs beyond chance."] * (tests > len(pairs))
    return [f"{first} ({_corrected(tests)}).", *last]


def _others(sides: Sequence[Side], sure: Iterable[tuple[Compared, Pair]]) -> Iterable[str]:
    """What else is beyond chance, by who is ahead of whom."""
    found: dict[tuple[int, int], list[str]] = {}
    for row, pair in sure:
        winner = row.winner(pair)
        found.setdefault((winner, pair.first + pair.second - winner), []).append(called(row))
    for (winner, loser), names in found.items():
        shown, more = names[:MOST], len(names) - MOST
        listed = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        yield f"Beyond chance {sides[winner].name} is ahead of {sides[loser].name} in {listed} as well."


def _numbers(sides: Sequence[Side], row: Compared, pairs: Sequence[Pair]) -> str:
    """`41.2 % against 35.0 %, difference 6.2 points [1.1, 11.3], p = 0.02 on the same 500 images`, the better first."""
    return "; ".join(_number(sides, row, pair) for pair in pairs)


def _number(sides: Sequence[Side], row: Compared, pair: Pair) -> str:
    ahead = row.winner(pair)
    behind = pair.first + pair.second - ahead
    shown = pair if ahead == pair.second else _turned(pair)
    values = [_named(sides, row.row.cells[place], place) for place in (ahead, behind)]
    return f"{' against '.join(values)}, difference {difference_words(row.row.metric, shown)}, {chance_words(pair)}"


def _named(sides: Sequence[Side], cell: Score | None, place: int) -> str:
    assert cell is not None
    return format_value(cell) + f" of {sides[place].name}" * (len(sides) > 2)


def _turned(pair: Pair) -> Pair:
    """The earlier one's value minus the later one's."""
    found = pair.found
    return replace(pair, found=found._replace(value=-found.value, low=-found.high, high=-found.low))


def _is_better(row: Compared) -> str:
    cells = _cells(row)
    if cells[0].metric == "clean_accuracy":
        return "has more clean images right than"
    if cells[0].metric.startswith("robust_accuracy"):
        one_model = len({cell.subject for cell in cells}) == 1
        return "leaves the same model more accuracy than" if one_model else "is more robust than"
    return "lies closer to the real images than" if word_of(cells[0].metric) in DISTANCES else "is better than"


def _where(row: Compared) -> str:
    cell = _cells(row)[0]
    if cell.metric.startswith("robust_accuracy"):
        return f" {_under(cell)}{' after rounding to 8 bits' * bool(_eight_bit(cell))}{_whose(row)}"
    return _whose(row) if cell.metric == "clean_accuracy" else f" in {cell.metric}{_whose(row)}"


def _whose(row: Compared) -> str:
    """Which of several models of each run, or of several seeds."""
    return f" ({row.row.note})" * bool(row.row.note)


def _under(cell: Score) -> str:
    if cell.setting.startswith(WORST_CASE):
        budget = cell.setting.removeprefix(WORST_CASE).strip("-")
        return "in the worst case over the attacks" + f" ({budget})" * bool(budget)
    return f"under {cell.setting}"


def _eight_bit(cell: Score) -> str:
    return "8-bit " * cell.metric.endswith("_8bit")


def _cells(row: Compared) -> list[Score]:
    return [cell for cell in row.row.cells if cell is not None]


def _doubts(sides: Sequence[Side]) -> Iterable[str]:
    """Whose numbers warnings speak against."""
    named = [f"{side.name} ({side.warnings})" for side in sides if side.warnings]
    if named:
        yield f"Warnings speak against the numbers of {' and '.join(named)}."


def _corrected(tests: int) -> str:
    return f"corrected for {tests} comparisons" if tests > 1 else "the only comparison"


def _same(sides: Sequence[Side]) -> str:
    """Where all runs hold the same numbers."""
    numbers = [
        [(one.metric, one.setting, one.subject, one.data, one.extractor, str(one.value)) for one in side.scores]
        for side in sides
    ]
    if len(sides) < 2 or not numbers[0] or any(each != numbers[0] for each in numbers):
        return ""
    return f"{' and '.join(side.name for side in sides)} hold the same numbers of the same subject: nothing differs."


def _nothing_shared(sides: Sequence[Side], rows: Sequence[Compared]) -> str:
    verbs = list(dict.fromkeys(side.command for side in sides))
    if any(row.pairs for row in rows):
        return "Nothing could be tested."
    if len(verbs) > 1:
        return f"These runs share no number: they are of {' and '.join(f'advgan {verb}' for verb in verbs)}."
    apart = [row.row.note for row in rows if row.row.alone]
    why = f": they stand apart by {apart[0]}, among others" if apart else ": no metric and setting is in two of them"
    return f"These runs share no number that may be compared{why}."


def _refused(rows: Sequence[Compared]) -> Iterable[str]:
    """What was not compared, and why."""
    refused = [(row, reason) for row in rows for reason in row.reasons[:1]]
    if refused:
        row, reason = refused[0]
        more = f"; and {len(refused) - 1} more" * (len(refused) > 1)
        yield f"Not compared: {called(row)}, as {reason}{more}."
    apart = list(dict.fromkeys(row.row.metric for row in rows if row.row.alone))
    if apart and any(row.pairs for row in rows):
        more = f" and {len(apart) - MOST} more" * (len(apart) > MOST)
        yield f"By other data, judges or protocols stand apart: {', '.join(apart[:MOST])}{more}."
