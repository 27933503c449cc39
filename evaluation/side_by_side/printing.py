"""A comparison on stdout: the rows that matter most and the verdict for people, all of it for programs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from evaluation.record.scores import score_to_json
from evaluation.report.columns import Columns, say
from evaluation.report.results import Results
from evaluation.report.text import UNKNOWN, format_count, format_value
from evaluation.report.views import metric_name
from evaluation.side_by_side.contrasts import FIRST, Compared, Pair, contrasts
from evaluation.side_by_side.differences import difference_words, p_words
from evaluation.side_by_side.sides import Side, stored_sides
from evaluation.side_by_side.verdict import comparison_verdict


def print_comparison(folders: Sequence[Path], *, as_json: bool) -> None:
    """Print the first rows and the verdict, or every row as one JSON object. Raises ValueError where a run has none."""
    sides = stored_sides([Results.load(folder) for folder in folders], folders)
    rows = contrasts(sides)
    if as_json:
        click.echo(json.dumps(plain_comparison(sides, rows), allow_nan=False))
        return
    print_rows(sides, rows[:FIRST])
    say(comparison_verdict(sides, rows))


def print_rows(sides: Sequence[Side], rows: Sequence[Compared], *, file: TextIO | None = None) -> None:
    """Print a row for each number, a column for each run with a star where it is better than each other beyond chance.

    Below a row of several runs stands each difference: the later one's value minus the earlier one's, its interval,
    the corrected p-value, and the number of images on which the two were paired.
    """
    table = Columns(("", *(side.name for side in sides), "p", "paired", "setting"), words_last=True, file=file)
    for one in rows:
        values = [_value(one, place) for place in range(len(sides))]
        table.add(metric_name(one.row.metric), [["", *values, "", "", _setting(one)]])
        table.add(metric_name(one.row.metric), [_difference(sides, one, pair) for pair in one.pairs])
    table.print()


def plain_comparison(sides: Sequence[Side], rows: Sequence[Compared]) -> dict[str, Any]:
    """What JSON can hold of all rows: scores and differences by the names of the runs, None for what is not known."""
    names = [side.name for side in sides]
    return {
        "command": "compare",
        "verdict": comparison_verdict(sides, rows),
        "runs": names,
        "rows": [
            {
                "metric": one.row.metric,
                "setting": one.row.setting,
                "note": one.row.note,
                "best": None if one.best is None else names[one.best],
                "scores": {name: cell and score_to_json(cell) for name, cell in zip(names, one.row.cells, strict=True)},
                "differences": [_plain(names, pair) for pair in one.pairs],
            }
            for one in rows
        ],
    }


def _setting(one: Compared) -> str:
    """With the number of images of each run, said once where all have as many, and what sets the row apart."""
    counts = dict.fromkeys(format_count(cell.samples) for cell in one.row.cells if cell is not None)
    return "; ".join(filter(None, (one.row.setting, f"n = {' and '.join(counts)}", one.row.note)))


def _value(one: Compared, place: int) -> str:
    cell = one.row.cells[place]
    return UNKNOWN if cell is None else format_value(cell) + " *" * (one.best == place)


def _difference(sides: Sequence[Side], one: Compared, pair: Pair) -> list[str]:
    """A line whose difference stands in the column of the later run."""
    cells = [""] * len(sides)
    cells[pair.second] = difference_words(one.row.metric, pair)
    paired = format_count(pair.found.pairs) if pair.found.pairs else ""
    against = f"against {sides[pair.first].name}" if len(sides) > 2 else ""
    return ["", *cells, p_words(pair), paired, "; ".join(filter(None, (against, pair.reason)))]


def _plain(names: Sequence[str], pair: Pair) -> dict[str, Any]:
    numbers = {**pair.found._asdict(), "p_value": pair.p_value}
    known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {"of": names[pair.second], "minus": names[pair.first], **known, "reason": pair.reason}
