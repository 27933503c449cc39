"""Runs read back: their scores as pandas tables, their findings, configuration and pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from advgan.storage.runs import read_config
from evaluation.door.attacking import Attacked
from evaluation.door.notebook import page
from evaluation.jobs.attack.summary import headline
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, Scores, short_table
from evaluation.report.results import Results
from evaluation.side_by_side.contrasts import Compared, contrasts
from evaluation.side_by_side.sides import Side, stored_sides
from evaluation.side_by_side.verdict import comparison_verdict


@dataclass(frozen=True)
class StoredRun:
    """A run folder. A notebook shows its verdict, its scores and its warnings."""

    folder: Path
    results: Results

    @property
    def numbers(self) -> Scores:
        """Its scores as a list."""
        return Scores(self.results.scores)

    @property
    def scores(self) -> pd.DataFrame:
        """Its numbers with all that is needed to compare them with others, one a row."""
        return self.numbers.table()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings on the validity of the scores, and other remarks."""
        return self.results.findings

    @property
    def config(self) -> dict[str, Any]:
        """The settings that it ran with."""
        return read_config(self.folder)

    @property
    def images(self) -> dict[str, Path]:
        """Its pictures and image arrays (`.png`, `.npz`), by their path within the folder."""
        files = sorted(file for file in self.folder.rglob("*") if file.suffix in (".png", ".npz"))
        return {file.relative_to(self.folder).as_posix(): file for file in files}

    def table(self) -> pd.DataFrame:
        """Value, interval and sample size, by setting and metric."""
        return short_table(self.numbers)

    def _repr_html_(self) -> str:
        return page(self.numbers, self.findings, title=self.results.verdict or self.results.title)


def load_run(path: str | Path) -> StoredRun:
    """Read a run folder. Raises ValueError in one line where it holds no results, or damaged ones."""
    folder = Path(path)
    return StoredRun(folder, Results.load(folder))


def compare(*runs: StoredRun | Attacked | str | Path) -> pd.DataFrame:
    """Put runs side by side: a row for each metric and setting, those that matter most first; a column for each run.

    Numbers stand in one row only where metric, setting, data, judge and protocol agree, whatever their number of
    images; a number that stands alone is told by `note`. For each run after the first, `<run>: difference` is its value
    minus the first's, with its 95 % interval (`low`, `high`), the p-value, and on how many shared `images` it was
    paired (0: taken for independent). The tests are those of `advgan report A B`: accuracies on the images that both
    saw by McNemar's exact test, the rest by intervals, all corrected together (Holm); `note` says why a row is not
    tested. `best` names the run that is better than each other one beyond chance, `attrs["verdict"]` is the outcome in
    words. Give folders, runs that were loaded, or what `attack` returned. Raises ValueError where there are fewer than
    two.
    """
    if len(runs) < 2:
        raise ValueError(f"compare takes two runs or more; got {len(runs)}")
    sides = _sides([load_run(run) if isinstance(run, (str, Path)) else run for run in runs])
    rows = contrasts(sides)
    names = [side.name for side in sides]
    values = [[cell and cell.value for cell in one.row.cells] for one in rows]
    table = pd.DataFrame(values, columns=names, dtype=float)
    table.insert(0, "metric", [one.row.metric for one in rows])
    table.insert(1, "setting", [one.row.setting for one in rows])
    for place, name in enumerate(names[1:], start=1):
        pairs = [_against_first(one, place) for one in rows]
        for word, column in zip(("difference", "low", "high", "p", "images"), zip(*pairs, strict=True), strict=True):
            table[f"{name}: {word}"] = column
    table["best"] = ["" if one.best is None else names[one.best] for one in rows]
    table["note"] = ["; ".join(filter(None, (one.row.note, *one.reasons))) for one in rows]
    table.attrs["verdict"] = comparison_verdict(sides, rows)
    return table


def _against_first(one: Compared, place: int) -> tuple[float, float, float, float, int]:
    """Difference from the first run, interval, corrected p-value, images that were paired; NaN where one is absent."""
    for pair in one.pairs:
        if (pair.first, pair.second) == (0, place):
            return pair.found.value, pair.found.low, pair.found.high, pair.p_value, pair.found.pairs
    return math.nan, math.nan, math.nan, math.nan, 0


def _sides(runs: Sequence[StoredRun | Attacked]) -> list[Side]:
    """Stored runs by the names of their folders; what was never stored is numbered by its place."""
    stored = [run for run in runs if isinstance(run, StoredRun)]
    known = iter(stored_sides([run.results for run in stored], [run.folder for run in stored]))
    return [next(known) if isinstance(run, StoredRun) else _fresh(run, place) for place, run in enumerate(runs, 1)]


def _fresh(run: Attacked, place: int) -> Side:
    cards = headline(run.numbers, run.findings)
    return Side(
        name=f"attack {place}",
        command="attack",
        scores=run.numbers,
        first=[(one.value.metric, one.value.setting) for one in cards if isinstance(one.value, Score)],
        answers=run.answers,
        config=run.config,
        warnings=sum(finding.level == "warning" for finding in run.findings),
    )
