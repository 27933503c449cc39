"""Several runs side by side: scores in one table, panels of the same title in one."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evaluation.record.scores import Score
from evaluation.report.panels import BarPanel, CurvePanel, ImagePanel, Panel, Picture, Series
from evaluation.report.results import Results
from evaluation.report.text import direction

_STYLES = ("solid", "dashed", "dotted")


class Row(NamedTuple):
    """One number in every run that has it (None in the others).

    `note` says what sets the row apart from others of the same metric and setting; `alone` that data, judge (what saw
    the images, by its weights) or protocol do, so that the rows must not be compared. `best` is the place of the run
    that is better than each other one by more than their intervals, None where no run is.
    """

    metric: str
    setting: str
    note: str
    alone: bool
    cells: tuple[Score | None, ...]
    best: int | None


def pivot(runs: Sequence[Sequence[Score]]) -> list[Row]:
    """Put scores into one row only where metric, setting, data, judge and protocol agree.

    A run that has several such scores (of several models, say) gets a row for each of them, aligned with the rows of
    other runs by the subject without its hash, or where that is not enough by the whole subject or the seed.
    """
    keys = list(dict.fromkeys((score.metric, score.setting) for scores in runs for score in scores))
    return [row for metric, setting in keys for row in _rows(metric, setting, runs)]


def run_names(runs: Sequence[Results], folders: Sequence[Path]) -> list[str]:
    """A short name for each run, different from the others."""
    names = [Path(run.run).name or folder.resolve().name for run, folder in zip(runs, folders, strict=True)]
    return [f"{name} ({place + 1})" if names.count(name) > 1 else name for place, name in enumerate(names)]


def compared_panels(runs: Sequence[Results], names: Sequence[str]) -> list[Panel]:
    """Join what stands under the same title in at least two runs: curves, bars, and large pictures.

    Curves keep the colour of their run. Pictures are named `<place of the run>/<file>`.
    """
    found: dict[tuple[object, ...], list[tuple[int, Panel]]] = {}
    for place, run in enumerate(runs):
        for panel in run.panels:
            if (key := _key(panel)) is not None:
                found.setdefault(key, []).append((place, panel))
    several = [group for group in found.values() if len({place for place, _ in group}) > 1]
    return [_joined(group, names) for group in several]


_SPLITS: tuple[dict[str, Callable[[Score], str]], ...] = (
    {},
    {"subject": lambda score: _without_hash(score.subject)},
    {"subject": lambda score: score.subject},
    {"subject": lambda score: score.subject, "seed": lambda score: str(score.seed)},
)


def _rows(metric: str, setting: str, runs: Sequence[Sequence[Score]]) -> list[Row]:
    here = [[score for score in scores if (score.metric, score.setting) == (metric, setting)] for scores in runs]
    for split in _SPLITS:
        details = {
            "data": lambda score: score.data,
            "judge": lambda score: score.extractor,
            "protocol": lambda score: score.protocol,
            **split,
        }
        cells: dict[tuple[str, ...], list[list[Score]]] = {}
        for place, scores in enumerate(here):
            for score in scores:
                variant = tuple(detail(score) for detail in details.values())
                cells.setdefault(variant, [[] for _ in runs])[place].append(score)
        if all(len(cell) < 2 for row in cells.values() for cell in row):
            break
    differing = [name for place, name in enumerate(details) if len({variant[place] for variant in cells}) > 1]
    alone = not {"data", "judge", "protocol"}.isdisjoint(differing)
    rows = []
    for variant, row in cells.items():
        described = dict(zip(details, variant, strict=True))
        note = "; ".join(f"{name}: {described[name]}" for name in differing)
        for copy in range(max(len(cell) for cell in row)):  # more than one only where a run holds a score twice
            line = tuple(cell[copy] if copy < len(cell) else None for cell in row)
            rows.append(Row(metric, setting, note, alone, line, _best(metric, line)))
    return rows


def _best(metric: str, cells: Sequence[Score | None]) -> int | None:
    """The run whose interval lies beyond that of each other; unknown intervals and wishes name no best one."""
    scores = [(place, score) for place, score in enumerate(cells) if score is not None]
    if len(scores) < 2 or not direction(metric) or any(math.isnan(score.low + score.high) for _, score in scores):
        return None
    higher = direction(metric) == "↑"
    for place, score in scores:
        others = [other for where, other in scores if where != place]
        if all(score.low > other.high if higher else score.high < other.low for other in others):
            return place
    return None


def _without_hash(subject: str) -> str:
    return re.sub(r"[\s@#:(\[-]*\b[0-9a-f]{8,64}\b[)\]]*", "", subject)


def _key(panel: Panel) -> tuple[object, ...] | None:
    title = _without_hash(panel.title)
    if isinstance(panel, CurvePanel):
        axes = (panel.x_label, panel.y_label, panel.log_x, panel.log_y, panel.percent)
        return (panel.kind, title, *axes)
    if isinstance(panel, BarPanel):
        return (panel.kind, title, panel.categories, panel.x_label, panel.y_label, panel.percent)
    return (panel.kind, title) if isinstance(panel, ImagePanel) and panel.layout == "wide" else None


def _joined(group: Sequence[tuple[int, Panel]], names: Sequence[str]) -> Panel:
    first = group[0][1]
    if isinstance(first, CurvePanel):
        return _joined_curves([(place, panel) for place, panel in group if isinstance(panel, CurvePanel)], names)
    if isinstance(first, BarPanel):
        bars = [(place, panel) for place, panel in group if isinstance(panel, BarPanel)]
        joined = [
            replace(series, name=f"{names[place]}: {series.name}") for place, panel in bars for series in panel.series
        ]
        lines = tuple(dict.fromkeys(line for _, panel in bars for line in panel.lines))
        return replace(
            first, series=tuple(joined), lines=lines, title=_without_hash(first.title), section="", caption=""
        )
    pictures = [
        Picture(f"{place}/{item.file}", f"{names[place]}: {item.caption}".removesuffix(": "))
        for place, panel in group
        if isinstance(panel, ImagePanel)
        for item in panel.items
    ]
    assert isinstance(first, ImagePanel)
    return replace(first, items=tuple(pictures), title=_without_hash(first.title), section="", caption="")


def _joined_curves(group: Sequence[tuple[int, CurvePanel]], names: Sequence[str]) -> CurvePanel:
    first, joined = group[0][1], list[Series]()
    for place, panel in group:
        for number, series in enumerate(panel.series):
            style = _STYLES[number % len(_STYLES)]
            name = f"{names[place]}: {series.name}"
            joined.append(replace(series, name=name, color=place, style=style))  # type: ignore[arg-type]
    lines = tuple(dict.fromkeys(line for _, panel in group for line in panel.lines))
    return replace(first, series=tuple(joined), lines=lines, title=_without_hash(first.title), section="", caption="")
