"""One verdict of all scores and findings: praise needs several scores that agree, and no warning against it."""

import ast
import math
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from evaluation.comparing import Difference
from evaluation.generator_verdict import FAILURES, GAME, VOID, generator_verdict, joined_verdicts, nearest_verdict
from evaluation.record.findings import Finding
from evaluation.record.scores import Score

PRAISE = "No score tells the images from real ones"
EVALUATION = Path(__file__).parents[2] / "evaluation"
DOUBTS = {
    *("fewer-images-than-features", "few-for-neighbours", "few-images-decide", "repeated-reals", "repeated-real"),
    *("repeated-held-out", "below-the-floor", "frechet-infinity-few", "frechet-infinity-bend", "jpeg-images"),
    *("held-out-copied", "train-test-leakage", "metric-not-made", "not-judged", "precomputed-statistics"),
    *("two-judges", "not-made", "look-not-made"),
}
"""Warnings of the numbers, or of the real images."""
ELSEWHERE = {"generated-quota", "uncalibrated-rejection"}
"""Of other verbs than train and eval."""


def score(metric: str, value: float, *, setting: str = "cnn", width: float = 0.1) -> Score:
    low, high = (value * (1 - width), value * (1 + width)) if value else (0.0, 0.0)
    known: dict[str, Any] = {"subject": "dcgan 1", "data": "digits", "samples": 500, "protocol": "p"}
    return Score(metric=metric, value=value, low=low, high=high, setting=setting, **known)


def good(setting: str = "cnn") -> list[Score]:
    values = {"fd[cnn]": 5.9, "fd_floor[cnn]": 7.8, "fd_real[cnn]": 6.0, "precision": 0.91, "recall": 0.9}
    values |= {"coverage": 0.85, "modes_covered": 10.0, "high_quality": 0.98}
    return [score(metric, value, setting=setting) for metric, value in values.items()]


def with_(metric: str, value: float) -> list[Score]:
    return [score(metric, value) if one.metric == metric else one for one in good()]


def warning(code: str) -> Finding:
    return Finding("warning", f"Title of {code}", "e", "a", code=code)


JUDGED = [*VOID, *(code for theme in FAILURES.values() for code in theme)]


def test_good_scores_without_a_warning_pass_and_no_further() -> None:
    said = generator_verdict(good(), [])
    assert said == (
        "No score tells the images from real ones, which a look at them must confirm. fd[cnn] is 5.9; held-out real "
        "images score 6. Classes drawn: 10; real images with their like among them: 90.0 %."
    )


@pytest.mark.parametrize("count", [1, 2])
def test_no_score_outweighs_a_warning_of_the_images(count: int) -> None:
    for codes in combinations(JUDGED, count):
        said = generator_verdict(good(), [warning(code) for code in codes])
        assert PRAISE not in said, codes
        assert "Classes drawn" not in said, "noise falls into every class"
        if any(code in VOID for code in codes):
            assert said.startswith("No verdict on the images: "), codes
        else:
            assert said.startswith("The images fall short of the real ones: "), codes


@pytest.mark.parametrize(
    ("metric", "value"), [("fd[cnn]", 60.0), ("precision", 0.1), ("recall", 0.0), ("coverage", 0.2)]
)
def test_one_bad_score_is_enough(metric: str, value: float) -> None:
    assert PRAISE not in generator_verdict(with_(metric, value), [])


@pytest.mark.parametrize("word", ["precision", "recall", "fd[cnn]"])
def test_one_score_alone_or_one_too_few_praises_nothing(word: str) -> None:
    everything = good()
    alone = [one for one in everything if one.metric == word]
    others = [one for one in everything if one.metric != word]
    for scores in (alone, others):
        assert generator_verdict(scores, []).startswith("No verdict on the images: that takes distance, precision and ")


def test_nothing_to_hold_the_distance_against_is_no_praise() -> None:
    scores = [one for one in good() if not one.metric.startswith(("fd_floor", "fd_real"))]
    assert "nothing says what real images would score" in generator_verdict(scores, [])


@pytest.mark.parametrize("setting", ["pixels", "random", "random-network"])
def test_features_that_know_nothing_of_the_data_praise_nothing(setting: str) -> None:
    assert f"features of {setting} show that images are bad" in generator_verdict(good(setting), [])


def test_a_distance_without_an_interval_is_read_by_its_value() -> None:
    far = [score(one.metric, 80.0, width=math.nan) if one.metric == "fd[cnn]" else one for one in good()]
    assert generator_verdict(far, []).startswith("The images are told from the real ones.")


def test_a_remark_that_images_are_told_is_believed() -> None:
    told = Finding("info", "Generated images are told from real ones", "e", "a", code="told-from-real")
    assert generator_verdict(good(), [told]).startswith("The images are told from the real ones.")


def test_of_one_theme_the_worst_is_said_and_each_theme_once() -> None:
    said = generator_verdict([], [warning(code) for code in ("low-vendi-score", "latents-ignored", "too-smooth")])
    assert said == "The images fall short of the real ones: they are blurred, they hardly depend on the latents."


def test_doubts_of_the_numbers_and_alarms_of_the_training_are_sentences_of_their_own() -> None:
    findings = [warning(code) for code in ("jpeg-images", "few-images-decide", "below-the-floor", "mode-hopping")]
    said = generator_verdict(good(), findings, alarms=[warning("diversity-collapse")])
    assert said.startswith(f"{PRAISE}, and the numbers are in doubt.")
    assert "care: title of jpeg-images; title of few-images-decide; and 1 more in the report." in said
    assert said.endswith("In training: title of diversity-collapse; title of mode-hopping.")


def test_an_alarm_of_the_training_does_not_judge_the_images_that_were_scored() -> None:
    said = generator_verdict(good(), [], alarms=[warning("missing-modes")])
    assert said.startswith(PRAISE)
    assert said.endswith("In training: title of missing-modes.")


def test_remarks_that_only_explain_change_nothing() -> None:
    infos = [Finding("info", "t", "e", "a", code=code) for code in (*JUDGED, *GAME)]
    assert generator_verdict(good(), infos) == generator_verdict(good(), [])


def test_nothing_gives_nothing_and_several_subjects_are_named() -> None:
    assert generator_verdict([], []) == ""
    assert joined_verdicts({"a": "x."}) == "x."
    assert joined_verdicts({"a": "x.", "b": "y.", "c": ""}) == "a: x. b: y."


def difference(value: float, p_value: float, metric: str = "fd[cnn]") -> Difference:
    first, second = (replace(score(metric, 10.0), subject=name) for name in "ab")
    details = {"low": value - 1, "high": value + 1, "p_value": p_value, "setting": "cnn"}
    return Difference(metric=metric, first=first, second=second, value=value, **details)


def test_of_two_it_is_said_which_lies_nearer_unless_by_chance() -> None:
    assert nearest_verdict([difference(-5.0, 0.001)]).startswith("a lies nearer to the real images than b")
    assert nearest_verdict([difference(5.0, 0.001)]).startswith("b lies nearer to the real images than a")
    assert nearest_verdict([difference(5.0, 0.4)]) == "Whether b or a lies nearer to the real images may be chance."
    assert nearest_verdict([difference(5.0, 0.001, "precision")]) == ""
    assert nearest_verdict([difference(5.0, 0.001)] * 4) == nearest_verdict([]) == ""


def test_every_warning_is_sorted() -> None:
    """A new code belongs into the table of what it says of the images, or to those that say nothing of them."""
    known = {*JUDGED, *GAME, *DOUBTS, *ELSEWHERE}
    assert {code for file in _sources() for code in _codes(file)} - known == set()


def _sources() -> list[Path]:
    return [file for file in EVALUATION.rglob("*.py") if "under_attack" not in file.parts]


def _codes(file: Path) -> set[str]:
    """Codes of the warnings that a file may raise; those with a part of their own in every form."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        texts = [ast.unparse(part) for part in node.args[:1]]
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if node.func.id == "_warning":
            given = node.args[3:4]
        elif node.func.id == "Finding" and not any("'warning'" in text for text in texts):
            continue
        for value in given:
            found |= _forms(value)
    return found


PARTS = {"kind": ("under", "over"), "where": ("black", "white"), "role": ("real", "held-out", "generated")}


def _forms(value: ast.expr) -> set[str]:
    if isinstance(value, ast.JoinedStr):
        pieces = [
            [str(part.value)] if isinstance(part, ast.Constant) else PARTS[ast.unparse(part).strip("f'{}\"")]
            for part in value.values
        ]
        return {"".join(chosen) for chosen in product(*pieces)}
    return {node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
