"""`Score`: every number of the project, with its sample size, interval, seed and protocol."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from advgan.storage.runs import environment

if TYPE_CHECKING:
    from evaluation.statistics.intervals import Estimate

CONTROLS = ("_floor", "_real", "_held_out", "_shuffled", "_random", "_pixels", "_untrained")
"""Endings of metrics that stand beside others, and say nothing of a generator."""
_NAMED = ("advgan", "torch", "scipy", "torch-fidelity")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number and everything that is needed to compare it with another.

    `subject` is what was measured (a model or a generator, with its hash), `data` the images with their content hash,
    `setting` the attack with its budget or the extractor, `metric` a fixed word. `low` and `high` bound the 95 %
    interval (NaN where none exists); `protocol` says in words how value and interval were made.
    """

    subject: str
    data: str
    setting: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    samples: int
    seed: int = 0
    protocol: str
    num_real: int = 0
    """Number of real images that `samples` generated ones were compared with; 0 where there are none."""
    extractor: str = ""
    """The feature extractor with the digest of its weights; empty where none was used."""
    preparation: str = ""
    """Preprocessing of the images: rounding, resize."""
    versions: str = ""
    """Packages that the value depends on."""


class Scores(list[Score]):
    """A list of scores that a notebook shows as a table."""

    def table(self) -> pd.DataFrame:
        """One number a row, the columns in the order of `Score`."""
        return table(self)

    def _repr_html_(self) -> str:
        return str(short_table(self).to_html(float_format="{:.4g}".format, na_rep="–"))


def score_rows(
    rows: Iterable[tuple[str, "Estimate", int, str]],
    *,
    subject: str,
    data: str,
    setting: str,
    seed: int,
    num_real: int = 0,
    extractor: str = "",
    preparation: str = "",
) -> list[Score]:
    """Make scores of one setting from rows of metric, estimate, sample size and protocol."""
    return [
        Score(
            subject=subject,
            data=data,
            setting=setting,
            metric=metric,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            samples=samples,
            seed=seed,
            protocol=protocol,
            num_real=num_real,
            extractor=extractor,
            preparation=preparation,
            versions=_versions(),
        )
        for metric, estimate, samples, protocol in rows
    ]


def noted(scores: Iterable[Score], note: str) -> list[Score]:
    """The scores with a few more words at the end of each protocol."""
    return [replace(score, protocol=score.protocol + note) for score in scores]


def table(scores: Iterable[Score]) -> pd.DataFrame:
    """Make a tidy table of scores: one number a row, the columns in the order of `Score`."""
    return pd.DataFrame([asdict(score) for score in scores], columns=[field.name for field in fields(Score)])


def word_of(metric: str) -> str:
    """The word in the list of metrics of a score's metric: `fid` for `fd[cnn]`."""
    stem = metric.partition("[")[0]
    word = stem.replace("fd", "fid", 1) if stem.startswith("fd") else stem
    return "inception_score" if word == "classifier_score" else word


def is_control(metric: str) -> bool:
    """Whether it stands beside another metric, of real images or of chance, and says nothing of what was scored."""
    return metric.partition("[")[0].endswith(CONTROLS)


def short_table(scores: Iterable[Score]) -> pd.DataFrame:
    """What a reader looks for first: value, 95 % interval and sample size, by setting and metric."""
    shown = table(scores)[["setting", "metric", "value", "low", "high", "samples"]]
    return shown.set_index(["setting", "metric"])


def score_to_json(score: Score) -> dict[str, Any]:
    """A dictionary that JSON can hold: NaN and infinity, which JSON lacks, become None and a string."""
    return {name: _plain(value) for name, value in asdict(score).items()}


def score_from_json(row: dict[str, Any]) -> Score:
    """The inverse of `score_to_json`."""
    numbers = {name: math.nan if row[name] is None else float(row[name]) for name in ("value", "low", "high")}
    return Score(**{**row, **numbers})


@cache
def _versions() -> str:
    packages = environment()["packages"]
    return ", ".join(f"{name} {packages[name]}" for name in _NAMED if packages[name])


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, float) and math.isinf(value) else value
