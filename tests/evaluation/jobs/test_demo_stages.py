"""What the demo says of its stages together."""

import math

import pytest

from evaluation.jobs.demo.stages import Stage, verdict, why_struck
from evaluation.jobs.setup import Outcome
from evaluation.record.scores import Score
from evaluation.report.results import Headline, Results


def attacked(name: str, clean: float, fgsm: float, worst: float, struck: str = "", half: float = math.nan) -> Stage:
    values = {"clean": clean, "fgsm-linf-0.15": fgsm, "worst-case": worst}
    scores = {
        setting: Score(
            subject=name,
            data="digits",
            setting=setting,
            metric="clean_accuracy" if setting == "clean" else "robust_accuracy",
            value=value,
            low=value - half,
            high=value + half,
            samples=100,
            protocol="",
        )
        for setting, value in values.items()
    }
    headline = (Headline("clean", scores["clean"]), Headline("worst", scores["worst-case"], struck=struck))
    results = Results(command="attack", title="", run="", scores=tuple(scores.values()), headline=headline)
    return Stage(name, Outcome(None, results))


def test_the_sentence_quotes_the_worst_case_as_the_cards_do():
    stages = attacked("a", 0.97, 0.4, 0.25), attacked("b", 0.9, 0.8, 0.7), attacked("c", 0.9, 0.85, 0.75)
    assert verdict(*stages) == (
        "In the worst case attacks take the classifier from 97.0 % to 25.0 %; hardened, 70.0 % stay, and 75.0 % with "
        "the augmented set."
    )


@pytest.mark.parametrize(("half", "told"), [(0.09, True), (0.02, False), (math.nan, False)])
def test_a_gain_within_the_intervals_is_not_told_as_one(half: float, told: bool) -> None:
    stages = (
        attacked("a", 0.97, 0.4, 0.25),
        attacked("b", 0.9, 0.8, 0.7, half=half),
        attacked("c", 0.9, 0.85, 0.75, half=half),
    )
    assert ("a difference within the 95 % intervals" in verdict(*stages)) == told


def test_a_number_that_its_stage_has_struck_is_struck_in_the_demo():
    stages = attacked("a", 0.97, 0.4, 0.25), attacked("b", 0.9, 0.8, 0.7, struck="Gradients are zero")
    assert [why_struck(stage.worst, stages) for stage in stages] == ["", "Gradients are zero"]
    assert why_struck(stages[1].score("clean_accuracy"), stages) == ""
