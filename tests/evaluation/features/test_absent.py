"""One metric that cannot be made takes no other with it."""

import math

import pytest
import torch

from evaluation.features.absent import absent_findings, judged, made
from evaluation.features.features import TooFewError
from evaluation.statistics.intervals import Estimate


def row(word, value=1.0):
    return word, Estimate(value, value, value), 10, "as made"


def group(words, *, failing, asked):
    """Rows of a group all of which are lost with one."""

    def rows_of(wanted):
        asked.append(tuple(wanted))
        for word in wanted:
            if word in failing:
                raise failing[word]
        return [row(word) for word in words if word in wanted]

    return rows_of


def test_a_group_that_can_be_made_is_asked_once():
    asked = []
    found = made(group("abc", failing={}, asked=asked), ["a", "c"])
    assert [metric for metric, *_ in found.rows] == ["a", "c"]
    assert (found.absent, asked) == ({}, [("a", "c")])
    assert made(group("abc", failing={}, asked=asked), []).rows == []
    assert len(asked) == 1


@pytest.mark.parametrize("error", [ValueError("no images"), ZeroDivisionError("by 0"), torch.linalg.LinAlgError("x")])
def test_what_cannot_be_made_costs_no_other_row(error):
    found = made(group("abc", failing={"b": error}, asked=[]), ["a", "b", "c"])
    assert [metric for metric, *_ in found.rows] == ["a", "c"]
    assert found.absent == {"b": error}


@pytest.mark.parametrize("error", [TypeError("ours"), AttributeError("ours"), KeyError("ours"), RuntimeError("memory")])
def test_mistakes_of_ours_go_through(error):
    with pytest.raises(type(error), match=r"ours|memory"):
        made(group("ab", failing={"b": error}, asked=[]), ["a", "b"])
    with pytest.raises(type(error), match=r"ours|memory"):
        judged("it", lambda: (_ for _ in ()).throw(error))


def test_a_value_that_is_no_number_is_no_row():
    found = made(lambda wanted: [row("a"), row("b", math.nan), row("c", math.inf)], ["a", "b", "c"])
    assert [metric for metric, *_ in found.rows] == ["a", "c"]
    assert list(found.absent) == ["b"]


def test_metrics_with_one_reason_are_named_together_and_too_few_images_only_explain():
    absent = {
        "a": ValueError("all are 0"),
        "b": TooFewError("3 are few"),
        "c": ValueError("all are\n0"),
        "d": OverflowError(),
    }
    broken, few, unforeseen = absent_findings(absent, extractor="cnn")
    assert (broken.level, few.level, unforeseen.level) == ("warning", "info", "warning")
    assert broken.evidence == "a, c with the features of cnn: all are 0"
    assert few.evidence == "b with the features of cnn: 3 are few"
    assert unforeseen.evidence.endswith("d with the features of cnn: OverflowError")
    assert {one.code for one in (broken, few, unforeseen)} == {"metric-not-made"}


def test_a_judge_without_anything_to_judge_by_says_so():
    def judge():
        raise ValueError("none is there")

    (found,) = judged("realism", judge)
    assert (found.code, found.evidence) == ("not-judged", "realism: none is there")
    assert judged("realism", list) == []
