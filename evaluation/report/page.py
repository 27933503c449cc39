"""One offline HTML page from the results of a run."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from advgan.storage.atomic import write_atomically
from evaluation.report.figures import file_svg
from evaluation.report.palette import DARK, LIGHT, declarations
from evaluation.report.panels import BarPanel, CurvePanel, Panel
from evaluation.report.results import Results
from evaluation.report.text import format_count, format_interval, format_value
from evaluation.report.views import card, metric_name, score_sheet, sections

REPORT = "report.html"
CHECKED = frozenset({"attack", "train", "eval", "demo"})
"""Commands that look for reasons to doubt their numbers: of the others no warning says nothing."""


def write_report(run_folder: Path) -> Path:
    """Rebuild `report.html` of a run from its `results.json` and the pictures in its folder, and from nothing else.

    Warnings stand on top; what only explains is folded below pictures and figures.
    The page is one file that needs no network and runs no script; its figures are written to `figures/` as well.
    A picture that is missing is named in its place. Raises ValueError where the results are missing or damaged, or
    name a picture outside the folder.
    """
    results = Results.load(run_folder)
    template = templates().get_template("report.html.j2")
    page = template.render(
        results=results,
        cards=[card(headline, results.scores) for headline in results.headline],
        findings=[one for one in results.findings if one.level == "warning"],
        folded=[one for one in results.findings if one.level != "warning"],
        checked=results.command in CHECKED,
        sections=sections(results.panels, lambda file: (run_folder, file)),
        sheet=score_sheet(results.scores),
        columns=_columns(len(results.headline)),
    )
    _write_figures(run_folder, results.panels)
    return write_atomically(run_folder / REPORT, page.encode(errors="replace"))


def is_page(file: Path) -> bool:
    """Whether a file is a page that we wrote, which may be written anew: its title says so."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        start = opened.read(_TITLE_WITHIN)
    return start.startswith(b"<!doctype html>") and _TITLE_ENDS in start


_TITLE_ENDS = " · advgan</title>".encode()
_TITLE_WITHIN = 1 << 16
"""Bytes."""


def _write_figures(run_folder: Path, panels: Sequence[Panel]) -> None:
    """Leave every figure as an SVG of its own in `figures/`, on white and with its legend, for a paper."""
    for number, panel in enumerate(panels, start=1):
        if isinstance(panel, CurvePanel | BarPanel):
            slug = re.sub(r"[^a-z0-9]+", "-", panel.title.lower()).strip("-")[:50]
            svg = file_svg(panel).encode(errors="replace")
            write_atomically(run_folder / "figures" / f"{number:02d}-{slug}.svg", svg)


@cache
def templates() -> Environment:
    """The templates of pages, with what they call."""
    environment = Environment(
        loader=PackageLoader("evaluation.report"),
        autoescape=True,  # every name on the page may be hostile
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    colors = {"light": declarations(LIGHT), "dark": declarations(DARK)}
    environment.globals.update(colors=colors)
    environment.filters.update(moment=_moment)
    environment.filters.update(metric=metric_name, value=format_value, interval=format_interval, count=format_count)
    return environment


def _columns(count: int) -> int:
    """Stand big numbers in rows of at most five, as even as can be."""
    return math.ceil(count / math.ceil(count / 5)) if count else 1


def _unbroken(value: object) -> object:
    """Keep a number and its percent sign on one line."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _moment(created: str) -> str:
    """`2026-11-22 16:09 UTC` of an ISO 8601 time; anything else as it is."""
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = time.strftime("%Z") or ""
    return f"{time:%Y-%m-%d %H:%M} {zone}".rstrip()
