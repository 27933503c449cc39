"""Each score of a generator says what it should be at best, by the protocol and the controls beside it."""

from typing import Any

import pytest

from evaluation.metric_words import METRICS
from evaluation.record.scores import Score, word_of
from evaluation.report.at_best import BESIDE, BEST, WITHOUT, at_best
from evaluation.report.results import Headline
from evaluation.report.text import direction
from evaluation.report.views import card, score_sheet


def score(metric: str, value: float = 0.5, *, protocol: str = "p", **more: Any) -> Score:
    known = {"subject": "dcgan 1", "data": "digits", "setting": "cnn", "samples": 100, **more}
    return Score(metric=metric, value=value, protocol=protocol, **known)


def test_every_metric_has_a_best_or_is_known_to_have_none() -> None:
    assert {*BEST, *WITHOUT} == {*METRICS}
    assert not {*BEST} & WITHOUT
    assert {*BESIDE} <= {*BEST}
    assert {*BESIDE.values()} <= WITHOUT


@pytest.mark.parametrize("word", BEST)
def test_arrow_and_best_agree(word: str) -> None:
    best = BEST[word]
    assert not (direction(word) == "↓" and best.startswith(("1", "near"))), word
    assert not (direction(word) == "↑" and best.startswith("0")), word


def test_the_control_beside_it_is_named() -> None:
    real = score("fd_real[cnn]", 1.9)
    assert at_best(score("fd[cnn]", 80), [real]) == "0; real images 1.9"
    assert at_best(score("fd[cnn]", 80), [score("fd_real[cnn]", 1.9, subject="other")]) == "0"
    assert at_best(score("vendi"), [score("vendi_real", 3.4)]) == "real images 3.4"
    assert at_best(score("vendi")) == "as real images"


@pytest.mark.parametrize(
    ("metric", "protocol", "best"),
    [
        ("coverage", "closed balls, k = 5, 0.8521 for a perfect generator; 95 % interval", "85.2 %"),
        ("mode_kl", "KL(fake || real), 0.014 for a perfect generator", "0.014"),
        ("high_quality", "probability 0.9 at least, 0.997 of real images", "near 100 %; real images 99.7 %"),
        ("mode_hopping", "4 looks, 500 images each; about 0.069 by chance where", "0; by chance 0.069"),
        ("modes_covered", "of 10 classes, those that", "10"),
        ("modes_captured", "of 25, by one image at least", "25"),
        ("precision", "p", "near 100 %"),
    ],
)
def test_the_protocol_tells_it_where_sizes_matter(metric: str, protocol: str, best: str) -> None:
    assert at_best(score(metric, protocol=protocol)) == best


def test_the_table_has_the_column_for_generators_alone() -> None:
    generator = score_sheet([score("fd[cnn]"), score("fd_floor[cnn]")]).grid
    place = list(generator.columns).index("at best")
    assert [row[place] for row in generator.rows] == ["0", ""]
    assert "at best" not in score_sheet([score("robust_accuracy"), score("clean_accuracy")]).grid.columns


def test_a_big_number_says_it_too() -> None:
    distance = score("fd[cnn]", 80)
    shown = card(Headline("fd[cnn]", distance, "cnn"), [distance, score("fd_real[cnn]", 1.9)])
    assert shown.note == "cnn; at best 0; real images 1.9"
    assert card(Headline("clean accuracy", score("clean_accuracy"), "n")).note == "n"


def test_words_are_those_of_the_list() -> None:
    assert word_of("fd_infinity[cnn]") in BEST
