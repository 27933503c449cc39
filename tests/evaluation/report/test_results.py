"""Results survive the way to disk and back, and a damaged file is named in one line."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from advgan.storage.documents import read_document, write_document
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.panels import BarPanel, Bars, CurvePanel, ImagePanel, Line, Picture, Series, TablePanel
from evaluation.report.results import Headline, Results
from evaluation.report.table import write_scores

SCORE = Score(subject="m", data="d", setting="s", metric="fid", value=math.inf, samples=3, protocol="p")
RESULTS = Results(
    command="attack",
    title="A title",
    run="runs/attack/00001-a",
    header=(("Data", "digits"),),
    headline=(Headline("FID", SCORE, "note"), Headline("Modes", "10 of 10")),
    scores=(SCORE,),
    findings=(Finding("warning", "t", "e", "a"),),
    panels=(
        ImagePanel(title="i", items=(Picture("samples/a.png", "a"),)),
        CurvePanel(
            title="c",
            x_label="x",
            y_label="y",
            series=(Series(name="s", x=(0.1, 1.0), y=(1 / 3, math.nan), low=(0.0, math.nan), high=(1.0, math.inf)),),
            lines=(Line("chance", 0.1),),
        ),
        BarPanel(title="b", categories=("0", "1"), series=(Bars(name="n", values=(1.0, 2.0)),)),
        TablePanel(title="t", columns=("a", "b", "c"), rows=(("x", 1, 2.5), ("y", 2, math.nan))),
    ),
    versions=(("torch", "2"),),
)


def test_results_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    RESULTS.save(tmp_path)
    assert repr(Results.load(tmp_path)) == repr(RESULTS)  # by repr, since NaN is not equal to itself


def test_results_on_disk_are_strict_json(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(RESULTS.save(tmp_path).read_bytes(), parse_constant=refuse)
    assert content["scores"][0]["value"] == "inf"
    assert content["scores"][0]["low"] is None


def test_a_failing_save_leaves_the_old_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = RESULTS.save(tmp_path).read_bytes()

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Results(command="fit", title="other", run="r").save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_bytes() == before


def _drop_value(content: Any) -> None:
    del content["scores"][0]["value"]


DAMAGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "newer format": (lambda content: content.update(format=2), "format 1"),
    "unknown field": (lambda content: content.update(extra=1), "extra"),
    "unknown status": (lambda content: content.update(status="well"), "status"),
    "unknown kind of panel": (lambda content: content["panels"][0].update(kind="film"), "film"),
    "unknown field of a panel": (lambda content: content["panels"][0].update(film=1), "film"),
    "uneven series": (lambda content: content["panels"][1]["series"][0]["x"].append(3), "2 values, 3 are needed"),
    "uneven interval": (lambda content: content["panels"][1]["series"][0]["low"].append(3), "low has 3 values"),
    "uneven row": (lambda content: content["panels"][3]["rows"][0].append(3), "row 1 has 4 values"),
    "score without value": (_drop_value, "scores.0.value"),
    "text for a count": (lambda content: content["scores"][0].update(samples="many"), "scores.0.samples"),
    "headline of another type": (lambda content: content["headline"][0].update(value=[1]), "headline.0.value"),
    "unknown level": (lambda content: content["findings"][0].update(level="panic"), "findings.0.level"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_results_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    damage, part = DAMAGES[name]
    path = RESULTS.save(tmp_path)
    content = read_document(path)
    damage(content)
    write_document(path, content)
    with pytest.raises(ValueError, match=r"results\.json") as error:
        Results.load(tmp_path)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_digit_that_changed_on_the_disk_is_found(tmp_path: Path) -> None:
    path = RESULTS.save(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"samples": 3', b'"samples": 2', 1))
    with pytest.raises(ValueError, match=r"results\.json is damaged: its content is not what was written"):
        Results.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_no_results_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"results\.json is") as error:
        Results.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no results at .*advgan ls runs"):
        Results.load(tmp_path / "nowhere")


def test_triplets_come_in_threes() -> None:
    with pytest.raises(ValueError, match="multiple of 3"):
        ImagePanel(title="t", items=(Picture("a.png"),), layout="triplets")


def test_scores_as_csv_are_read_back_by_pandas(tmp_path: Path) -> None:
    frame = pd.read_csv(write_scores(tmp_path / "scores.csv", [SCORE, SCORE]))
    assert list(frame["metric"]) == ["fid", "fid"]
    assert frame["low"].isna().all()
