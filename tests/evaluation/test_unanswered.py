"""A metric that was named is there, or a finding says what it takes; the ways out that those name work."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from evaluation.metric_words import GROUPS, METRICS
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.unanswered import OF_GROUPS, OF_WORDS, unanswered

Advgan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def images() -> Callable[[], None]:
    def write() -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
        np.savez("mine.npz", images=pixels)
        np.savez("real.npz", images=pixels[::-1])

    return write


def evaluated(advgan: Advgan, *arguments: str) -> tuple[set[str], str]:
    """The metrics that were made, and all that findings say of those that were not."""
    code, out, _ = advgan("eval", "mine.npz", "--data", "real.npz", *arguments, "--json", "-q")
    assert code == 0
    found = json.loads(out)
    told = [one["evidence"] for one in found["findings"] if one["code"] == "metric-not-made"]
    return {score["metric"] for score in found["scores"]}, "\n".join(told)


def test_every_metric_that_was_named_is_there_or_has_a_reason(
    advgan: Advgan, images: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.jobs.setup.write_report", lambda folder: Path(folder) / "report.html")
    images()
    named = ["precision", "cmmd", "modes_covered", "label_agreement", "latent", "r1", "gan_train", "modes_captured"]
    made, told = evaluated(advgan, "--features", "pixels", "--metrics", ",".join(named))
    assert made == {"precision"}
    for name in named[1:]:
        assert f"{name}: " in told, name
    assert "--features clip" in told
    assert "precision:" not in told


def test_where_nothing_that_was_named_can_be_made_that_is_an_error_with_the_reason(
    advgan: Advgan, images: Callable[[], None]
) -> None:
    images()
    code, out, err = advgan("eval", "mine.npz", "--data", "real.npz", "--features", "pixels", "--metrics", "cmmd", "-q")
    assert (code, out) == (2, "")
    assert "nothing can be scored here: cmmd: " in err
    assert "--features clip" in err
    assert not Path("runs").exists()


class Results(NamedTuple):
    scores: tuple[Score, ...] = ()
    findings: tuple[Finding, ...] = ()


def test_what_nobody_named_is_not_missed() -> None:
    assert unanswered([], Results()) == []
    assert unanswered(["all"], Results()) == []
    known = Finding("info", "t", "cmmd, fid with the features of x: too few", "a", code="metric-not-made")
    assert unanswered(["cmmd", "fid"], Results(findings=(known,))) == []


def test_the_table_names_metrics_that_there_are() -> None:
    assert OF_WORDS.keys() <= METRICS.keys()
    assert OF_GROUPS.keys() <= GROUPS.keys()
