"""Runs read back: their scores as pandas tables, their findings, configuration and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from advgan.config.resolve import read_yaml
from evaluation.door.attacking import Attacked
from evaluation.door.notebook import page
from evaluation.record.findings import Finding
from evaluation.record.scores import Scores, short_table
from evaluation.report.comparison import pivot, run_names
from evaluation.report.results import Results


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
        """What a reader of the numbers must know."""
        return self.results.findings

    @property
    def config(self) -> dict[str, Any]:
        """The settings that it ran with."""
        return read_yaml(self.folder / "config.yaml")

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
    """Put runs side by side: a row for each metric and setting, a column with the value for each run.

    Numbers stand in one row only where metric, setting, data and protocol agree; a number that stands alone is told by
    `note`. Give folders, runs that were loaded, or what `attack` returned. For intervals and tests, see
    `advgan report A B`. Raises ValueError where there are fewer than two.
    """
    if len(runs) < 2:
        raise ValueError(f"compare takes two runs or more; got {len(runs)}")
    loaded = [load_run(run) if isinstance(run, (str, Path)) else run for run in runs]
    names = _names(loaded)
    rows = pivot([run.numbers for run in loaded])
    values = [[cell and cell.value for cell in row.cells] for row in rows]
    table = pd.DataFrame(values, columns=names, dtype=float)
    table.insert(0, "metric", [row.metric for row in rows])
    table.insert(1, "setting", [row.setting for row in rows])
    table["note"] = [row.note for row in rows]
    return table


def _names(runs: Sequence[StoredRun | Attacked]) -> list[str]:
    """Those of the folders; what was never stored is numbered by its place."""
    stored = [run for run in runs if isinstance(run, StoredRun)]
    known = iter(run_names([run.results for run in stored], [run.folder for run in stored]))
    return [next(known) if isinstance(run, StoredRun) else f"attack {place}" for place, run in enumerate(runs, 1)]
