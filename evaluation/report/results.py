"""What a run found out, as one value: `results.json` holds it, and the report is made of it."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

from advgan.storage.documents import read_document, write_document
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, score_to_json
from evaluation.report.panels import BarPanel, CurvePanel, ImagePanel, TablePanel

FILE = "results.json"
FORMAT = 1
Status = Literal["running", "done", "interrupted", "failed"]


def _known(value: Any) -> Any:
    """Give back the NaN that `score_to_json` wrote as None."""
    if not isinstance(value, dict):
        return value
    return {key: math.nan if item is None else item for key, item in value.items()}


def _plain(value: Score | str) -> dict[str, Any] | str:
    return value if isinstance(value, str) else score_to_json(value)


ScoreField = Annotated[Score, BeforeValidator(_known), PlainSerializer(score_to_json)]
ValueField = Annotated[Score | str, BeforeValidator(_known), PlainSerializer(_plain)]
PanelField = Annotated[ImagePanel | CurvePanel | BarPanel | TablePanel, Field(discriminator="kind")]


@dataclass(frozen=True)
class Headline:
    """One big number: a score (shown with interval and sample size) or a text; `note` explains it in a few words.

    `struck` says why the number is not to be quoted; it is then shown struck through.
    """

    label: str
    value: ValueField
    note: str = ""
    struck: str = ""
    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that a report shows.

    `header` lists what was measured and how: threat model, data and model with their hashes, seed. `verdict` is the
    outcome in one sentence, `created` an ISO 8601 time, `versions` the packages that made the numbers.
    """

    command: str
    title: str
    run: str
    status: Status = "done"
    created: str = ""
    verdict: str = ""
    header: tuple[tuple[str, str], ...] = ()
    headline: tuple[Headline, ...] = ()
    scores: tuple[ScoreField, ...] = ()
    findings: tuple[Finding, ...] = ()
    panels: tuple[PanelField, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def is_struck(self) -> bool:
        """Whether a number at the top is not to be quoted."""
        return any(each.struck for each in self.headline)

    def save(self, run_folder: Path) -> Path:
        """Write `results.json` into the run folder, atomically; strict JSON, the same bytes for the same results."""
        content = {"format": FORMAT, **_adapter().dump_python(self, mode="json")}
        return write_document(run_folder / FILE, content)

    @classmethod
    def load(cls, run_folder: Path) -> "Results":
        """Read what `save` wrote.

        Raises ValueError, one line naming the file, where it is missing, damaged, or of a newer format.
        """
        path = run_folder / FILE
        if not path.is_file():
            raise ValueError(f"no results at {path}: name a run folder, `advgan ls runs` lists them")
        content = read_document(path)
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is not of results format {FORMAT}: it needs another version of advgan")
        try:
            return _adapter().validate_python(content)
        except ValidationError as error:
            raise ValueError(f"{path} is damaged: {_first(error)}") from None


@cache
def _adapter() -> TypeAdapter[Results]:
    return TypeAdapter(Results)


def _first(error: ValidationError) -> str:
    """The first of pydantic's complaints as one line with the place."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return " ".join(f"{place}: {first['msg']}".split())
