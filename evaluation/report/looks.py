"""How each series of a panel looks, in the figure and in the legend beside it."""

from typing import Literal, NamedTuple

from evaluation.report.palette import NUM_SERIES
from evaluation.report.panels import BarPanel, CurvePanel

MARKERS = {  # matplotlib's name -> the same shape as an SVG path around (0, 0)
    "o": "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "s": "M-3-3h6v6h-6z",
    "^": "M0-3.8L3.6 3H-3.6z",
    "D": "M0-4L4 0L0 4L-4 0z",
    "v": "M0 3.8L3.6-3H-3.6z",
    "P": "M-1.4-4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
    "X": "M-2.4-4L0-1.6L2.4-4L4-2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0L-4-2.4z",
}
DASHES = {"solid": (), "dashed": (6.0, 3.0), "dotted": (1.5, 2.5), "dashdot": (6.0, 2.5, 1.5, 2.5)}
_REFERENCES = ("dashed", "dotted", "dashdot")
_MANY_POINTS = 40


class Look(NamedTuple):
    """A legend entry: `color` is a name of the palette, `marker` empty where the points are too many to mark."""

    name: str
    color: str
    marker: str
    dash: str
    shape: Literal["line", "bar"]

    @property
    def path(self) -> str:
        return MARKERS.get(self.marker, "")

    @property
    def dasharray(self) -> str:
        return " ".join(f"{length:g}" for length in DASHES[self.dash])


def looks(panel: CurvePanel | BarPanel) -> list[Look]:
    """One look for each series, then one for each reference line."""
    entries = []
    if isinstance(panel, CurvePanel):
        markers = list(MARKERS)
        for place, series in enumerate(panel.series):
            marker = markers[place % len(markers)] if len(series.x) <= _MANY_POINTS else ""
            entries.append(Look(series.name, _color(series.color, place), marker, series.style, "line"))
    else:
        entries += [Look(bars.name, _color(None, place), "", "solid", "bar") for place, bars in enumerate(panel.series)]
    for place, line in enumerate(panel.lines):
        entries.append(Look(line.name, "muted", "", _REFERENCES[place % len(_REFERENCES)], "line"))
    return entries


def _color(chosen: int | None, place: int) -> str:
    return f"series-{(place if chosen is None else chosen) % NUM_SERIES}"
