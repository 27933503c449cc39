"""The tables of attacks and generators at 80 columns."""

import io
from typing import Any

import pytest

from evaluation.jobs.console.attack_table import print_attacks
from evaluation.jobs.console.generator_table import FIRST, MOST, headline_rows, print_generators
from evaluation.jobs.suites import in_file_names, setting_name
from evaluation.metric_words import METRICS
from evaluation.record.scores import Score


def score(metric: str, value: float, setting: str, **more: Any) -> Score:
    known = {"subject": "cnn 8c461c8d75e1", "data": "digits/test e6b0", "samples": 60, "protocol": "p"}
    return Score(metric=metric, value=value, low=value / 2, high=value, setting=setting, **{**known, **more})


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    return io.StringIO()


def attacked(name: str, left: float) -> list[Score]:
    setting = setting_name(name, "linf", 8 / 255)
    return [
        score("robust_accuracy", left, setting),
        score("robust_accuracy_8bit", left, setting),
        score("success_rate", 1 - left, setting, samples=59),
    ]


def test_an_attack_is_one_row(terminal: io.StringIO) -> None:
    scores = [score("clean_accuracy", 0.983, "clean"), *attacked("fgsm", 0.65), *attacked("si-ni-di-ti-fgsm", 0.05)]
    print_attacks(scores, file=terminal)
    lines = terminal.getvalue().splitlines()
    assert lines[0].split() == ["attack", "left", "95", "%", "interval", "8", "bits", "broke", "of"]
    assert "60 images" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["no", "fgsm-linf-8/255", "si-ni-di-ti-fgsm-linf-8/255"]
    assert lines[3].split() == ["fgsm-linf-8/255", "65.0", "%", "[32.5,", "65.0]", "65.0", "%", "35.0", "%", "59"]
    assert max(map(len, lines)) <= 80


def test_in_a_cascade_what_is_left_is_left_after_all_before(terminal: io.StringIO) -> None:
    print_attacks(attacked("fgsm", 0.65), cascade=True, file=terminal)
    assert "left after" in terminal.getvalue().splitlines()[0]


def test_other_scores_of_an_attack_are_printed_too(terminal: io.StringIO) -> None:
    print_attacks([*attacked("fgsm", 0.65), score("mean_l2", 1.5, "fgsm-linf-8/255")], file=terminal)
    assert "mean_l2" in terminal.getvalue()


def generator(subject: str = "dcgan 1") -> list[Score]:
    return [score(word, 0.5, "cnn", subject=subject, samples=100) for word in METRICS]


def test_a_generator_has_eight_rows_in_groups(terminal: io.StringIO) -> None:
    print_generators([*generator(), *generator("dcgan 2")], file=terminal)
    lines = terminal.getvalue().splitlines()
    rows = [line for line in lines[1:] if line.startswith("  ")]
    assert len(rows) == 2 * MOST
    assert lines[1:3] == ["dcgan 1 on digits/test e6b0", "fidelity"]
    assert sum(line.startswith("dcgan 2") for line in lines) == 1
    assert max(map(len, lines)) <= 80


def test_named_metrics_are_all_shown(terminal: io.StringIO) -> None:
    print_generators(generator(), everything=True, file=terminal)
    assert sum(line.startswith("  ") for line in terminal.getvalue().splitlines()) == len(METRICS)


def test_the_headline_words_are_metrics() -> None:
    assert set(FIRST) <= set(METRICS)
    assert len(headline_rows(generator())) == MOST
    few = [score("ndb", 0.5, "cnn"), score("vendi", 2, "cnn")]
    assert headline_rows(few) == few, "where little was measured, all of it is shown"


def test_files_and_scores_spell_a_setting_alike() -> None:
    assert in_file_names(setting_name("pgd", "linf", 8 / 255)) == "pgd-linf-8of255"
    assert in_file_names("foolbox:L2DeepFoolAttack-l2-1") == "foolbox-L2DeepFoolAttack-l2-1"
