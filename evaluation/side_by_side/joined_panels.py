"""What several runs show under the same title, joined: curves in one figure, pictures side by side."""

from collections.abc import Sequence
from dataclasses import replace

from evaluation.report.panels import BarPanel, Bars, CurvePanel, ImagePanel, Panel, Picture, Series
from evaluation.report.results import Results
from evaluation.side_by_side.rows import without_hash

_STYLES = ("solid", "dashed", "dotted")
_MOST = {"wide": 4, "triplets": 6, "tiles": 12}
"""Pictures of each run under a title, at most."""


def compared_panels(runs: Sequence[Results], names: Sequence[str]) -> list[Panel]:
    """Join what stands under the same title in at least two runs: curves, bars, and the first few pictures.

    The subject that a run scored belongs to no title. Curves keep the colour of their run. Pictures are named
    `<place of the run>/<file>`, those of each run following each other.
    """
    found: dict[tuple[object, ...], list[tuple[int, Panel]]] = {}
    for place, run in enumerate(runs):
        for panel in run.panels:
            named = replace(panel, title=_without_subjects(panel.title, run))
            if (key := _key(named)) is not None:
                found.setdefault(key, []).append((place, named))
    several = [group for group in found.values() if len({place for place, _ in group}) > 1]
    return [_joined(group, names) for group in several]


def _without_subjects(title: str, run: Results) -> str:
    """The title without what the run scored, where it scored one thing: of two they say which is meant."""
    subjects = {score.subject for score in run.scores} - {""}
    for subject in subjects if len(subjects) == 1 else ():
        for name in (subject, without_hash(subject)):
            for joint in (", ", " of the game of ", " of ", ": "):
                title = title.removesuffix(joint + name)
    return without_hash(title)


def _key(panel: Panel) -> tuple[object, ...] | None:
    if isinstance(panel, CurvePanel):
        return (panel.kind, panel.title, panel.x_label, panel.y_label, panel.log_x, panel.log_y, panel.percent)
    if isinstance(panel, BarPanel):
        return (panel.kind, panel.title, panel.categories, panel.x_label, panel.y_label, panel.percent)
    return (panel.kind, panel.title, panel.layout) if isinstance(panel, ImagePanel) else None


def _joined(group: Sequence[tuple[int, Panel]], names: Sequence[str]) -> Panel:
    first = group[0][1]
    if isinstance(first, CurvePanel):
        return _joined_curves([(place, panel) for place, panel in group if isinstance(panel, CurvePanel)], names)
    if isinstance(first, BarPanel):
        bars = [(place, panel) for place, panel in group if isinstance(panel, BarPanel)]
        joined = _joined_bars(bars, names)
        lines = tuple(dict.fromkeys(line for _, panel in bars for line in panel.lines))
        return replace(first, series=tuple(joined), lines=lines, section="", caption="")
    assert isinstance(first, ImagePanel)
    pictures = [
        Picture(f"{place}/{item.file}", f"{names[place]}: {item.caption}".removesuffix(": "))
        for place, panel in group
        if isinstance(panel, ImagePanel)
        for item in panel.items[: _MOST[panel.layout]]
    ]
    return replace(first, items=tuple(pictures), section="", caption="")


def _joined_bars(group: Sequence[tuple[int, BarPanel]], names: Sequence[str]) -> list[Bars]:
    """The bars of every run, those that all runs share, such as of the real images, once."""
    common = [bars for bars in group[0][1].series if all(bars in panel.series for _, panel in group)]
    own = [(place, bars) for place, panel in group for bars in panel.series if bars not in common]
    return [*common, *(replace(bars, name=f"{names[place]}: {bars.name}") for place, bars in own)]


def _joined_curves(group: Sequence[tuple[int, CurvePanel]], names: Sequence[str]) -> CurvePanel:
    first, joined = group[0][1], list[Series]()
    for place, panel in group:
        for number, series in enumerate(panel.series):
            style = _STYLES[number % len(_STYLES)]
            name = f"{names[place]}: {series.name}"
            joined.append(replace(series, name=name, color=place, style=style))  # type: ignore[arg-type]
    lines = tuple(dict.fromkeys(line for _, panel in group for line in panel.lines))
    return replace(first, series=tuple(joined), lines=lines, section="", caption="")
