"""What several runs show under the same title, joined: curves in one figure, pictures side by side."""

from collections.abc import Sequence
from dataclasses import replace

from evaluation.report.panels import BarPanel, CurvePanel, ImagePanel, Panel, Picture, Series
from evaluation.report.results import Results
from evaluation.side_by_side.rows import without_hash

_STYLES = ("solid", "dashed", "dotted")


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


def _key(panel: Panel) -> tuple[object, ...] | None:
    title = without_hash(panel.title)
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
            first, series=tuple(joined), lines=lines, title=without_hash(first.title), section="", caption=""
        )
    pictures = [
        Picture(f"{place}/{item.file}", f"{names[place]}: {item.caption}".removesuffix(": "))
        for place, panel in group
        if isinstance(panel, ImagePanel)
        for item in panel.items
    ]
    assert isinstance(first, ImagePanel)
    return replace(first, items=tuple(pictures), title=without_hash(first.title), section="", caption="")


def _joined_curves(group: Sequence[tuple[int, CurvePanel]], names: Sequence[str]) -> CurvePanel:
    first, joined = group[0][1], list[Series]()
    for place, panel in group:
        for number, series in enumerate(panel.series):
            style = _STYLES[number % len(_STYLES)]
            name = f"{names[place]}: {series.name}"
            joined.append(replace(series, name=name, color=place, style=style))  # type: ignore[arg-type]
    lines = tuple(dict.fromkeys(line for _, panel in group for line in panel.lines))
    return replace(first, series=tuple(joined), lines=lines, title=without_hash(first.title), section="", caption="")
