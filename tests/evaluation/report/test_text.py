"""Numbers read the same on the page and on the console, and no name steers the terminal."""

import io
import math
import re
from collections.abc import Callable

import pytest

from evaluation.record.scores import Score
from evaluation.report.text import (
    direction,
    format_interval,
    format_number,
    format_rate,
    format_score,
    is_rate,
    print_scores,
)

Make = Callable[..., Score]


def test_a_rate_is_a_percentage_with_its_interval_and_sample_size(make_score: Make) -> None:
    assert format_score(make_score("clean_accuracy", 0.973, 0.951, 0.986)) == "97.3 % [95.1, 98.6], n=450"


def test_an_unknown_interval_is_left_out_or_a_dash(make_score: Make) -> None:
    score = make_score("modes_covered", 10)
    assert format_score(score) == "10, n=450"
    assert format_interval(score) == "–"
    assert format_interval(make_score("fid", 10, low=9.0)) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.9997, "99.97 %"),
        (0.0004, "0.04 %"),
        (0.99999, "99.999 %"),
        (1e-9, "0.0000 %"),
        (math.nan, "–"),
    ],
)
def test_a_rate_is_rounded_to_all_or_nothing_only_where_it_is(value: float, text: str) -> None:
    assert format_rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (10.0, "10"),
        (10000.0, "10,000"),
        (12.3456, "12.35"),
        (0.0132, "0.0132"),
        (-0.5, "-0.5"),
        (12345.678, "12,346"),
        (0.000012345, "1.234e-05"),
        (1.5e12, "1.500e+12"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_a_number_has_four_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_what_is_a_rate_and_which_way_is_better_follow_the_name_of_the_metric() -> None:
    assert all(
        map(
            is_rate,
            ("robust_accuracy", "robust_accuracy_8bit", "success_rate", "real_accuracy_train", "precision[x/y]"),
        )
    )
    assert not any(
        map(is_rate, ("fid", "fd[accuracy]", "fid_floor", "density", "modes_covered", "mean_linf", "inception_score"))
    )
    assert [direction(name) for name in ("fd[a/b]", "recall", "mean_l2", "fid_floor")] == ["↓", "↑", "", ""]


def _printed(scores: list[Score], encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    print_scores(scores, file=file)
    file.flush()
    return raw.getvalue().decode(encoding)


def test_the_console_table_names_subject_and_data_once_for_each_group(make_score: Make) -> None:
    scores = [make_score("clean_accuracy", 0.973), make_score("fid", 12.5, subject="gan"), make_score("recall", 0.5)]
    lines = [line.rstrip() for line in _printed(scores).splitlines()]
    assert lines[0].split() == ["metric", "value", "interval", "n", "setting"]
    assert lines[1] == "cnn 3f2a91c07b1e on digits 91abf0021d3e (test)"
    assert [line.split()[0] for line in lines[2:]] == ["clean_accuracy", "recall", "gan", "fid"]


def test_square_brackets_in_names_are_printed_not_obeyed(make_score: Make) -> None:
    printed = _printed([make_score("fd[classifier]", 12.5, setting="[bold]pgd[/bold] :smile:")])
    assert "fd[classifier]" in printed
    assert "[bold]pgd[/bold] :smile:" in printed


def test_no_name_sends_control_signs_to_the_terminal(make_score: Make) -> None:
    printed = _printed([make_score("fid", 1.0, subject="a\x1b[31mb\r\nc", setting="\x07")])
    assert "\x1b" not in printed
    assert "a?[31mb??c" in printed


def test_a_terminal_without_unicode_gets_plain_signs(make_score: Make) -> None:
    printed = _printed([make_score("fid", math.inf, setting="größe")], encoding="ascii")
    assert "inf" in printed
    assert "gr??e" in printed


def test_a_pipe_gets_whole_rows_and_a_terminal_its_width(make_score: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [make_score("robust_accuracy_8bit", 0.5, 0.4, 0.6, samples=10_000, setting="worst of " + "pgd-linf " * 20)]
    assert max(map(len, _printed(scores).splitlines())) > 150
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", _printed(scores)).splitlines()
    assert max(map(len, lines)) <= 80
    assert "robust_accuracy_8bit ↑  50.0 %  [40.0, 60.0]  10,000  worst of" in lines[2]
