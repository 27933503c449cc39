"""What a comparison must know of each run, stored or not: its numbers, its answers, and how it came to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advgan.storage.runs import read_config
from evaluation.record.answers import Answers
from evaluation.record.scores import Score
from evaluation.report.results import Results

CONFIG = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One run of a comparison; `name` differs from those of the others."""

    name: str
    command: str
    scores: Sequence[Score]
    first: Sequence[tuple[str, str]] = ()
    """Metric and setting of its big numbers, in their order."""
    answers: Answers | None = None
    """Image by image; None where they were not kept, as in runs of before."""
    config: Mapping[str, Any] = field(default_factory=dict)
    warnings: int = 0
    """That speak against its numbers."""


def stored_sides(runs: Sequence[Results], folders: Sequence[Path]) -> list[Side]:
    """The runs of these folders. What lies beside their results is read if it can be."""
    return [
        Side(
            name=name,
            command=run.command,
            scores=run.scores,
            first=[(one.value.metric, one.value.setting) for one in run.headline if isinstance(one.value, Score)],
            answers=Answers.load(folder),
            config=_config(folder),
            warnings=sum(finding.level == "warning" for finding in run.findings),
        )
        for name, run, folder in zip(run_names(runs, folders), runs, folders, strict=True)
    ]


def run_names(runs: Sequence[Results], folders: Sequence[Path]) -> list[str]:
    """A short name for each run, different from the others."""
    names = [Path(run.run).name or folder.resolve().name for run, folder in zip(runs, folders, strict=True)]
    return [f"{name} ({place + 1})" if names.count(name) > 1 else name for place, name in enumerate(names)]


def _config(folder: Path) -> Mapping[str, Any]:
    return read_config(folder) if (folder / CONFIG).is_file() else {}
