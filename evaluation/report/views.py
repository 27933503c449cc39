"""What the page templates show: panels and scores turned into text, data URIs and table cells."""

import math
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from evaluation.record.scores import Score
from evaluation.report.at_best import at_best
from evaluation.report.embedding import Embedded, data_uri, embed
from evaluation.report.figures import page_svg
from evaluation.report.looks import Look, looks
from evaluation.report.panels import BarPanel, Cell, CurvePanel, ImagePanel, Panel
from evaluation.report.results import Headline
from evaluation.report.text import (
    UNKNOWN,
    direction,
    format_count,
    format_interval,
    format_number,
    format_rate,
    format_value,
    is_rate,
)

_LONG = 32  # characters beyond which a cell is broken into lines
_MOST_NUMBERS = 60  # rows of the table below a figure; a loss curve has more and goes without


class Grid(NamedTuple):
    """A table of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def kinds(self) -> list[str]:
        """How each column stands: numbers to the "right", names "short" on one line, "long" texts broken."""
        return [_column_kind([row[place] for row in self.rows]) for place in range(len(self.columns))]


class PanelView(NamedTuple):
    """A panel with what the page needs to show it; `full` where it takes the whole width."""

    panel: Panel
    full: bool
    figure: str
    alt: str
    legend: Sequence[Look]
    groups: Sequence[Sequence[Embedded]]
    grid: Grid | None


class Section(NamedTuple):
    title: str
    panels: Sequence[PanelView]


class Card(NamedTuple):
    """A big number; `low`, `middle` and `high` place it on a line from 0 to 100 where it is a rate."""

    label: str
    value: str
    interval: str
    samples: str
    note: str
    low: float | None
    middle: float | None
    high: float | None
    struck: bool = False


def card(headline: Headline, scores: Sequence[Score] = ()) -> Card:
    """Show a headline; a text stands alone, a score comes with its interval, sample size and what is best."""
    best = "" if isinstance(headline.value, str) else at_best(headline.value, scores)
    notes = (headline.note, f"at best {best}" if best else "", f"struck: {headline.struck}" if headline.struck else "")
    return _card(headline)._replace(struck=bool(headline.struck), note="; ".join(filter(None, notes)))


def _card(headline: Headline) -> Card:
    if isinstance(headline.value, str):
        return Card(headline.label, headline.value, "", "", headline.note, None, None, None)
    score = headline.value
    interval = format_interval(score)
    texts = (headline.label, format_value(score), interval if interval != UNKNOWN else "", format_count(score.samples))
    if not is_rate(score.metric) or math.isnan(score.value):
        return Card(*texts, headline.note, None, None, None)
    bounds = [score.value if math.isnan(bound) else bound for bound in (score.low, score.value, score.high)]
    low, middle, high = (round(100 * min(1.0, max(0.0, bound)), 2) for bound in bounds)
    return Card(*texts, headline.note, low, middle, high)


Locate = Callable[[str], tuple[Path, str]]  # from a picture's name to the run folder and the file in it


def sections(panels: Sequence[Panel], locate: Locate) -> list[Section]:
    """Show panels in order, neighbours of the same section under one heading."""
    return [
        Section(title, _side_by_side([_view(panel, locate) for panel in group]))
        for title, group in groupby(panels, key=lambda panel: panel.section)
    ]


class ScoreSheet(NamedTuple):
    """All scores: the table, what every row shares (and needs no column for), and the protocols that rows refer to."""

    grid: Grid
    shared: Sequence[str]
    protocols: Sequence[str]


def _side_by_side(views: Sequence[PanelView]) -> list[PanelView]:
    """Give the whole width to a figure that has no other one beside it, so that no hole stays."""
    placed: list[PanelView] = []
    waiting = False  # whether the figure before has a free place beside it
    for view in views:
        if view.full and waiting:
            placed[-1] = placed[-1]._replace(full=True)
        waiting = not view.full and not waiting
        placed.append(view)
    if waiting:
        placed[-1] = placed[-1]._replace(full=True)
    return placed


def score_sheet(scores: Sequence[Score]) -> ScoreSheet:
    """Lay out every score with all that is needed to compare it with another."""
    protocols = list(dict.fromkeys(score.protocol for score in scores))
    details: dict[str, list[str]] = {
        "subject": [score.subject for score in scores],
        "data": [score.data for score in scores],
        "seed": [str(score.seed) for score in scores],
        "protocol": [f"({protocols.index(score.protocol) + 1})" for score in scores],
    }
    own = {name: cells for name, cells in details.items() if len(set(cells)) > 1}
    best = [at_best(score, scores) for score in scores]
    if any(best):
        own = {"at best": best, **own}
    rows = [[*_cells(score), *(cells[place] for cells in own.values())] for place, score in enumerate(scores)]
    grid = Grid(["metric", "value", "95 % interval", "n", "setting", *own], rows)
    shared = [f"{name} {cells[0]}" for name, cells in details.items() if len(set(cells)) == 1 and name != "protocol"]
    return ScoreSheet(grid, shared, protocols)


def metric_name(metric: str) -> str:
    """The metric with an arrow to where it is better."""
    return f"{metric} {direction(metric)}".rstrip()


def _cells(score: Score) -> list[str]:
    return [
        metric_name(score.metric),
        format_value(score),
        format_interval(score),
        format_count(score.samples),
        score.setting,
    ]


def _view(panel: Panel, locate: Locate) -> PanelView:
    if isinstance(panel, ImagePanel):
        return PanelView(panel, True, "", "", (), _pictures(panel, locate), None)
    if isinstance(panel, CurvePanel | BarPanel):
        figure = data_uri("image/svg+xml", page_svg(panel).encode(errors="replace"))
        return PanelView(panel, False, figure, _description(panel), looks(panel), (), _numbers(panel))
    rows = [[_cell(cell) for cell in row] for row in panel.rows]
    return PanelView(panel, True, "", "", (), (), Grid(panel.columns, rows))


def _pictures(panel: ImagePanel, locate: Locate) -> list[list[Embedded]]:
    pictures = []
    for number, item in enumerate(panel.items, start=1):
        words = item.caption.replace("\n", ", ")
        alt = f"{panel.title}, picture {number}" + (f": {words}" if words else "")
        pictures.append(embed(*locate(item.file), item.caption, alt))
    size = 3 if panel.layout == "triplets" else 1
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


def _description(panel: CurvePanel | BarPanel) -> str:
    """Say in words what a figure shows, for those who cannot see it."""
    show = format_rate if panel.percent else format_number
    parts = [f"{panel.title}."]
    if isinstance(panel, CurvePanel):
        parts.append(f"{panel.y_label} against {panel.x_label}.")
        for series in panel.series:
            known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)]
            if known:
                (first_x, first), (last_x, last) = known[0], known[-1]
                start, end = f"{show(first)} at {format_number(first_x)}", f"{show(last)} at {format_number(last_x)}"
                parts.append(f"{series.name}: from {start} to {end}.")
    else:
        for bars in panel.series:
            heights = [value for value in bars.values if not math.isnan(value)]
            if heights:
                span = f"between {show(min(heights))} and {show(max(heights))}"
                parts.append(f"{bars.name}: {len(bars.values)} bars {span}.")
    return " ".join(parts)


def _numbers(panel: CurvePanel | BarPanel) -> Grid | None:
    """The numbers behind a figure as a table, where they are few enough to be read."""
    show = format_rate if panel.percent else format_number
    columns: list[dict[float | str, str]] = []
    places: list[float | str] = []
    if isinstance(panel, CurvePanel):
        columns = [
            dict(zip(series.x, _with_interval(series.y, series.low, series.high, show), strict=True))
            for series in panel.series
        ]
        places = sorted({x for series in panel.series for x in series.x if not math.isnan(x)})
    else:
        named = [f"{place} {name}" for place, name in enumerate(panel.categories)]  # two classes may share a name
        columns = [
            dict(zip(named, _with_interval(bars.values, bars.low, bars.high, show), strict=True))
            for bars in panel.series
        ]
        places = [*named]
    if len(places) > _MOST_NUMBERS:
        return None
    rows = [[_place(place), *(column.get(place, UNKNOWN) for column in columns)] for place in places]
    first = panel.x_label or ("x" if isinstance(panel, CurvePanel) else "category")
    return Grid([first, *(series.name for series in panel.series)], rows)


def _place(place: float | str) -> str:
    return place.split(" ", 1)[1] if isinstance(place, str) else format_number(place)


def _with_interval(
    values: Sequence[float], low: Sequence[float], high: Sequence[float], show: Callable[[float], str]
) -> list[str]:
    texts = []
    for place, value in enumerate(values):
        known = bool(low) and not math.isnan(low[place]) and not math.isnan(high[place])
        texts.append(f"{show(value)} [{show(low[place])}, {show(high[place])}]" if known else show(value))
    return texts


def _column_kind(cells: Sequence[str]) -> str:
    if cells and all(re.fullmatch(r"[-–+−∞\d.,\s%×e\[\]]+", cell) for cell in cells):
        return "right"
    return "long" if any(len(cell) > _LONG for cell in cells) else "short"


def _cell(cell: Cell) -> str:
    return cell if isinstance(cell, str) else format_number(cell)
