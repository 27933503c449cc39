"""What comes after the measurements of `advgan attack`, and cannot destroy them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from advgan.config import DataConfig
from attacks.random import uniform
from evaluation.extractors import pixels
from evaluation.jobs.afterwards import spared
from evaluation.jobs.attack import job as attack
from evaluation.jobs.eval import job as evaluation
from evaluation.jobs.eval.job import EvalConfig
from evaluation.jobs.setup import Setup

NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
AFTER = {
    "explained.curve_panels": "The curve over eps",
    "explained.triplet_panels": "Pictures of what fooled it",
    "explained.stages_panel": "The table of the attacks",
    "questions.examined": "The closer look",
    "questions.classifier_findings": "Questions to the classifier",
    "questions.outcome_findings": "Questions to the attacks",
}


def attacked(folder: Path, **options: Any):
    (folder / "net.py").write_text(NETWORK)
    config = attack.AttackConfig(
        model=f"{folder / 'net.py'}:network",
        data=DataConfig(source="digits"),
        attacks=("fgsm",),
        num_samples=40,
        curve_points=2,
        probes=8,
        **options,
    )
    return attack.run(config, Setup(device="cpu", out=folder / "run"))


@pytest.mark.parametrize("name", AFTER)
def test_what_fails_afterwards_is_a_finding_beside_all_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        kept = json.loads((tmp_path / "run" / "results.json").read_text())
        assert kept["scores"], "the scores are on disk before"
        raise RuntimeError("cuDNN error:\nCUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(f"evaluation.jobs.attack.{name}", fails)
    outcome = attacked(tmp_path)
    (finding,) = [one for one in outcome.results.findings if one.code == "not-made"]
    assert finding.title == f"{AFTER[name]}: not made"
    assert finding.evidence == "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"
    assert {score.metric for score in outcome.results.scores} >= {"clean_accuracy", "robust_accuracy"}
    assert (tmp_path / "run" / "report.html").is_file()


def test_an_interruption_afterwards_leaves_the_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluation.jobs.attack.explained.curve_panels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attacked(tmp_path)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["scores"]
    assert (tmp_path / "run" / "scores.csv").is_file()


def test_a_closer_look_goes_on_in_the_room_that_the_attacks_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Narrow(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 6:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return images.flatten(1)[:, 20:30]

    found = attacked(tmp_path)
    assert not [one for one in found.results.findings if one.code == "not-made"]
    (tmp_path / "narrow").mkdir()
    load = attack.choose_classifier

    def narrow(*given: Any, **details: Any):
        classifier, data = load(*given, **details)
        classifier.network = Narrow()
        return classifier, data

    monkeypatch.setattr(attack, "choose_classifier", narrow)
    found = attacked(tmp_path / "narrow", batch_size="auto")
    assert not [one for one in found.results.findings if one.code == "not-made"]


def test_nothing_fails_and_nothing_is_said() -> None:
    assert spared("Pictures", lambda: iter([1, 2])) == ([1, 2], [])


def test_memory_that_ran_out_names_the_way_out() -> None:
    def fails() -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    nothing, (finding,) = spared("Pictures", fails)
    assert nothing == []
    assert "--batch-size auto" in finding.advice


AFTER_EVAL = {
    "_grids": "Real beside generated",
    "_classes": "Classes",
    "_neighbours": "Nearest training images",
}


def drawn(count: int, path: Path) -> str:
    digits = uniform(0, torch.arange(count), (8, 8, 1))
    np.savez(path, images=digits.numpy(), labels=np.arange(count) % 10)
    return str(path)


@pytest.mark.parametrize("name", AFTER_EVAL)
def test_a_panel_of_an_evaluation_that_fails_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fails(*_: object) -> None:
        assert json.loads((tmp_path / "run" / "results.json").read_text())["scores"]
        raise IndexError("no such row")

    monkeypatch.setattr(f"evaluation.jobs.eval.panels.{name}", fails)
    config = EvalConfig(
        subjects=(drawn(40, tmp_path / "a.npz"),), data=DataConfig(source="digits"), features=("pixels",), num_real=200
    )
    outcome = evaluation.run(config, Setup(device="cpu", out=tmp_path / "run"))
    assert outcome is not None
    (finding,) = [one for one in outcome.results.findings if one.code == "not-made"]
    assert finding.title.startswith(AFTER_EVAL[name])
    assert finding.evidence == "IndexError: no such row"
    assert outcome.results.scores


def test_an_evaluation_halves_its_batches_where_memory_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(folder: str, **options: Any) -> list[float]:
        digits = DataConfig(source="digits")
        config = EvalConfig(subjects=(images,), data=digits, features=("pixels",), num_real=200, **options)
        outcome = evaluation.run(config, Setup(device="cpu", out=tmp_path / folder))
        assert outcome is not None
        return [score.value for score in outcome.results.scores]

    images = drawn(300, tmp_path / "a.npz")
    whole = scored("whole")
    known = pixels.single_class

    def narrow(levels: torch.Tensor) -> torch.Tensor:
        if len(levels) > 30:
            raise MemoryError
        return known(levels)

    monkeypatch.setattr(pixels, "single_class", narrow)
    assert scored("halved", batch_size="auto") == pytest.approx(whole)
    with pytest.raises(ValueError, match="memory ran out with --batch-size 200: give a smaller one, or --batch-size"):
        scored("fixed", batch_size=200)
