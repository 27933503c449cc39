"""One offline HTML page that joins several runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from advgan.storage.atomic import write_atomically
from evaluation.report.page import is_page, templates
from evaluation.report.results import Results
from evaluation.report.views import sections
from evaluation.side_by_side.contrasts import FIRST, contrasts
from evaluation.side_by_side.differences import chance_words, difference_words
from evaluation.side_by_side.joined_panels import compared_panels
from evaluation.side_by_side.otherwise import set_otherwise
from evaluation.side_by_side.sides import stored_sides
from evaluation.side_by_side.verdict import comparison_verdict

COMPARISON = "comparison.html"


def write_comparison(run_folders: Sequence[Path], out: Path) -> Path:
    """Join runs into one page: a verdict, scores side by side, curves of the same title in one figure, findings by run.

    Numbers stand in one row only where metric, setting, data, judge and protocol agree. `out` is a file, or a folder
    that gets a `comparison.html`. Raises ValueError as `write_report` does, and where `out` is a file of another's.
    """
    target = comparison_file(out)
    runs = [Results.load(folder) for folder in run_folders]
    sides = stored_sides(runs, run_folders)
    names = [side.name for side in sides]
    rows = contrasts(sides)
    template = templates().get_template("comparison.html.j2")
    page = template.render(
        runs=list(zip(names, runs, run_folders, strict=True)),
        names=names,
        verdict=comparison_verdict(sides, rows),
        first=rows[:FIRST],
        others=rows[FIRST:],
        difference=difference_words,
        chance=chance_words,
        otherwise=set_otherwise(runs),
        sections=sections(compared_panels(runs, names), lambda name: _located(name, run_folders)),
        target=target,
    )
    return write_atomically(target, page.encode(errors="replace"))


def comparison_file(out: Path) -> Path:
    """The file that a comparison is written to; ValueError where one is there that is no page of ours."""
    target = out / COMPARISON if out.is_dir() or not out.suffix else out
    if os.path.lexists(target) and not is_page(target):
        raise ValueError(f"--out {target}: is no page of advgan, and is not overwritten: choose another name")
    return target


def _located(name: str, run_folders: Sequence[Path]) -> tuple[Path, str]:
    place, file = name.split("/", 1)
    return run_folders[int(place)], file
