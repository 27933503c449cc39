"""Curves and bars as SVG, drawn by matplotlib: small with large type, so that they read on a phone."""

import io
import math
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from evaluation.report.axes import LOG, is_wide, mark_linear, mark_log, mark_percent, move_apart
from evaluation.report.looks import DASHES, Look, looks
from evaluation.report.palette import DARK, LIGHT, declarations
from evaluation.report.panels import BarPanel, CurvePanel, Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans', sans-serif"
_WIDTH, _HEIGHT = 395, 255  # points; a phone shows some 340 pixels of it
_LEGEND_ROW = 20
_MANY_CATEGORIES = 30
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: small, sharp, in the reader's own font
    "svg.hashsalt": "advgan",  # the same results give the same bytes
    "font.size": 13,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["muted"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "grid.color": LIGHT["edge"],
    "axes.titlesize": 13,
    "axes.unicode_minus": True,
}


def page_svg(panel: CurvePanel | BarPanel) -> str:
    """Draw a panel for the page: no legend (the page has its own), and colours that follow day and night."""
    svg = _render(panel, legend=False)
    for name, color in LIGHT.items():
        svg = svg.replace(color, f"var(--{name},{color})")
    night = f"<style>@media screen and (prefers-color-scheme:dark){{svg{{{declarations(DARK)}}}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda tag: tag[1] + night, svg, count=1)


def file_svg(panel: CurvePanel | BarPanel) -> str:
    """Draw a panel for a paper: on white, with its legend."""
    return _render(panel, legend=True)


def _render(panel: CurvePanel | BarPanel, *, legend: bool) -> str:
    from matplotlib import style

    file = io.BytesIO()
    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts will have it
        figure = _figure(panel, legend=legend)
        figure.savefig(file, format="svg", transparent=not legend, metadata={"Date": None, "Creator": None})
    svg = file.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    return re.sub(r"'DejaVu Sans'[^;\"]*", FONTS, re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S))


def _figure(panel: CurvePanel | BarPanel, *, legend: bool) -> "Figure":
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    upright = isinstance(panel, CurvePanel) or _upright(panel)
    entries = looks(panel)
    height = _height(panel, upright=upright) + (_LEGEND_ROW * math.ceil(len(entries) / 2) if legend else 0)
    figure = Figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    if isinstance(panel, CurvePanel):
        _draw_curves(axes, panel, entries)
    else:
        _draw_bars(axes, panel, entries, upright=upright)
    for line, look in zip(panel.lines, entries[len(panel.series) :], strict=True):
        draw = axes.axhline if upright else axes.axvline
        draw(line.y, color=LIGHT["muted"], linewidth=1.2, linestyle=_dash(look), zorder=2)
    _dress(axes, panel, upright=upright)
    if legend:
        _add_legend(figure, entries)
    return figure


def _draw_curves(axes: "Axes", panel: CurvePanel, entries: Sequence[Look]) -> None:
    for series, look in zip(panel.series, entries, strict=False):
        color = LIGHT[look.color]
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.16, linewidth=0)
        width = 2.0 if look.marker else 1.4
        axes.plot(
            series.x, series.y, color=color, linewidth=width, linestyle=_dash(look), marker=look.marker, markersize=5.5
        )
    if is_log(panel, "x"):
        axes.set_xscale("log")
    if is_log(panel, "y"):
        axes.set_yscale("log")
    if panel.percent and _within_unit([series.y for series in panel.series]):
        axes.set_ylim(-0.03, 1.03)


def _draw_bars(axes: "Axes", panel: BarPanel, entries: Sequence[Look], *, upright: bool) -> None:
    places = range(len(panel.categories))
    width = 0.8 / max(1, len(panel.series))
    for order, (bars, look) in enumerate(zip(panel.series, entries, strict=False)):
        centers = [place - 0.4 + width * (order + 0.5) for place in places]
        heights = [0.0 if math.isnan(value) else value for value in bars.values]
        draw, error = (axes.bar, "yerr") if upright else (axes.barh, "xerr")
        draw(centers, heights, width * 0.92, color=LIGHT[look.color], linewidth=0, zorder=2)
        if bars.low:
            spread = [_reach(heights, bars.low, -1), _reach(heights, bars.high, 1)]
            x, y = (centers, heights) if upright else (heights, centers)
            axes.errorbar(x, y, **{error: spread}, fmt="none", ecolor=LIGHT["ink"], elinewidth=1.1, capsize=2, zorder=3)  # type: ignore[arg-type]
    step = math.ceil(len(panel.categories) / 6) if len(panel.categories) > _MANY_CATEGORIES else 1
    names = [_name(category, 22) for category in panel.categories][::step]
    if upright:
        axes.set_xticks(list(places)[::step], names)
    else:
        axes.set_yticks(list(places), names)
        axes.set_ylim(len(panel.categories) - 0.4, -0.6)
    groups = [bars.values for bars in panel.series]
    if panel.percent and _within_unit(groups) and not _share_out(groups):
        (axes.set_ylim if upright else axes.set_xlim)(0, 1.03)


def _dress(axes: "Axes", panel: CurvePanel | BarPanel, *, upright: bool) -> None:
    """Name the axes (the vertical one above, where it reads without turning the head) and leave out all ornament."""
    _mark(axes.yaxis if upright else axes.xaxis, panel, "y")
    if isinstance(panel, CurvePanel):
        _mark(axes.xaxis, panel, "x")
    x_label, y_label = (_label(panel, which) for which in ("x", "y"))
    across, above = (x_label, y_label) if upright else (y_label, x_label)
    axes.set_xlabel(across)
    axes.set_title(above, loc="left", pad=8)
    for side in ("top", "right", "left" if upright else "bottom"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y" if upright else "x", linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5)


def is_log(panel: CurvePanel | BarPanel, which: Literal["x", "y"]) -> bool:
    """Whether an axis is logarithmic: where that was asked for, and the values spread far enough."""
    asked = isinstance(panel, CurvePanel) and (panel.log_x if which == "x" else panel.log_y)
    return asked and is_wide(_values(panel, which))


def _mark(axis: "Axis", panel: CurvePanel | BarPanel, which: Literal["x", "y"]) -> None:
    values = _values(panel, which)
    if is_log(panel, which):
        mark_log(axis, values)
        return
    move_apart(axis)
    if which == "y" and panel.percent:
        mark_percent(axis)
    else:
        mark_linear(axis, values, most=6 if which == "x" else None)


def _values(panel: CurvePanel | BarPanel, which: Literal["x", "y"]) -> list[float]:
    """All that lies along an axis, with the reference lines."""
    if isinstance(panel, BarPanel):
        return [value for bars in panel.series for value in (*bars.values, *bars.low, *bars.high)]
    if which == "x":
        return [value for series in panel.series for value in series.x]
    return [*(value for series in panel.series for value in series.y), *(line.y for line in panel.lines)]


def _label(panel: CurvePanel | BarPanel, which: Literal["x", "y"]) -> str:
    label = panel.x_label if which == "x" else panel.y_label
    return f"{_name(label, 60)}{LOG if label and is_log(panel, which) else ''}"


def _add_legend(figure: "Figure", entries: Sequence[Look]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=LIGHT[look.color])
        if look.shape == "bar"
        else Line2D([], [], color=LIGHT[look.color], linestyle=_dash(look), marker=look.marker, markersize=5.5)
        for look in entries
    ]
    # Older matplotlib leaves out a name that starts with an underscore; a space before it is not seen.
    names = [f" {_name(look.name, 40)}" for look in entries]
    columns = 2 if max((len(name) for name in names), default=0) <= 24 else 1
    figure.legend(handles, names, loc="outside upper left", ncols=columns, frameon=False, fontsize=12)


def _height(panel: CurvePanel | BarPanel, *, upright: bool) -> float:
    """Lying bars need room for each of their names."""
    if upright or isinstance(panel, CurvePanel):
        return _HEIGHT
    return max(_HEIGHT, 70 + 17 * len(panel.categories) * max(1, len(panel.series) * 0.7))


def _upright(panel: BarPanel) -> bool:
    """Stand the bars up where their names fit below, or are too many to fit anywhere."""
    return len(panel.categories) > _MANY_CATEGORIES or sum(len(name) + 2 for name in panel.categories) <= 46


def _dash(look: Look) -> Any:
    return (0, DASHES[look.dash]) if DASHES[look.dash] else "-"


def _reach(values: Sequence[float], bounds: Numbers, sign: int) -> list[float]:
    """How far each bound lies from its value; 0 where the bound is not known."""
    return [
        0.0 if math.isnan(bound) else max(0.0, sign * (bound - value))
        for value, bound in zip(values, bounds, strict=True)
    ]


def _within_unit(groups: Sequence[Numbers]) -> bool:
    return all(0 <= value <= 1 for values in groups for value in values if not math.isnan(value))


def _share_out(groups: Sequence[Numbers]) -> bool:
    """Whether each series tells how one whole is shared out, whose bars would be short beside 100 %."""
    return all(math.isclose(math.fsum(values), 1.0, abs_tol=1e-6) for values in groups)


def _name(text: str, length: int) -> str:
    """Cut a long name short, and keep matplotlib from reading a formula into a dollar sign."""
    short = text if len(text) <= length else f"{text[: length - 1]}…"
    return " ".join(short.split()).replace("$", r"\$")
