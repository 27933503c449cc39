"""A run that is over goes on for longer, or from its weights, and says what became of its schedule."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from advgan.classifier.stored import load_trained
from advgan.config import Baseline, ClassifierTraining, DataConfig, GanNetworks, GanTraining, NetworkConfig
from advgan.config.resolve import resolve
from advgan.sampling.stored import load_gan
from advgan.storage.checkpoints import load_checkpoint
from advgan.storage.runs import Run
from evaluation.jobs.fit import job as fit
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.longer import longer_findings
from evaluation.jobs.setup import Outcome, Setup
from evaluation.jobs.train import job as train
from evaluation.jobs.train.config import TrainConfig
from evaluation.record.findings import Finding
from evaluation.watching.diagnostics import Diagnostics

FEW = Diagnostics(judged=60, gradients=16, redrawn=64, brightness=8)


def gan(steps: int, *, schedule: str = "linear", patience: int | None = None, family: str = "mlp") -> TrainConfig:
    networks = GanNetworks(family=family, width=2, latent_dim=4)
    training = GanTraining(steps=steps, batch_size=32, schedule=schedule)
    looks = {"num_samples": 60, "log_every": 2, "evaluate_every": 2, "patience": patience, "diagnostics": FEW}
    return TrainConfig(networks=networks, training=training, features="pixels", **looks)


def classifier(epochs: int, **options: object) -> FitConfig:
    network = options.pop("network", NetworkConfig(name="mlp", width=8))
    return FitConfig(network=network, training=ClassifierTraining(epochs=epochs, batch_size=256), **options)


def done(outcome: Outcome | None) -> Outcome:
    assert outcome is not None
    return outcome


def longer(outcome: Outcome) -> list[Finding]:
    return [finding for finding in outcome.results.findings if finding.code == "trained-longer"]


def weights(path: Path) -> dict[str, Tensor]:
    return dict(load_checkpoint(path).state["network"])


def test_a_finished_gan_is_trained_on_and_its_schedule_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("advgan"), "propagate", True)
    run = Run(tmp_path / "run")
    assert not longer(done(train.run(gan(4), Setup(device="cpu", out=run.folder))))
    outcome = done(train.run(gan(8), Setup(device="cpu", resume=run)))
    assert load_gan(run.last).step == 8
    assert [row["step"] for row in run.rows()] == [2, 4, 6, 8]
    assert resolve(TrainConfig, file=run.folder / "config.yaml").training.steps == 8
    (finding,) = longer(outcome)
    assert finding.title == "Trained for 8 steps, after 4 steps of a run of 4 steps"
    assert "goes from 0.25 of its peak in step 4, as 4 steps have it, to 0.5 in the next" in finding.evidence
    assert "Note:" in caplog.text
    assert finding.evidence in caplog.text
    again = done(train.run(gan(8), Setup(device="cpu", resume=run)))  # finished: nothing changes, nothing is forgotten
    assert longer(again) == [finding]


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scores at the end: they take longer than the training."""
    monkeypatch.setattr(train, "_score", lambda config, setup, trained: trained)


@pytest.mark.usefixtures("unscored")
def test_a_constant_rate_is_said_to_stay_and_steps_equal_those_of_one_run(tmp_path: Path) -> None:
    short, whole = Run(tmp_path / "short"), Run(tmp_path / "whole")
    train.run(gan(4, schedule="constant"), Setup(device="cpu", out=short.folder))
    train.run(gan(6, schedule="constant"), Setup(device="cpu", resume=short))
    (finding,) = longer_findings(short)
    assert "stays where it is, at 1 of its peak" in finding.evidence
    train.run(gan(6, schedule="constant"), Setup(device="cpu", out=whole.folder))
    one, other = (load_checkpoint(run.last).state["generator"] for run in (short, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.usefixtures("unscored")
def test_what_cannot_get_longer_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "run")
    train.run(gan(8, patience=10), Setup(device="cpu", out=run.folder))
    with pytest.raises(
        ValueError, match=r"--steps 4 with --resume .*: it was to take 8 steps, and can only get longer"
    ):
        train.run(gan(4, patience=10), Setup(device="cpu", resume=run))
    monkeypatch.setattr("evaluation.jobs.train.start.exhausted", lambda distances, patience: patience == 2)
    with pytest.raises(ValueError, match=r"stopped after 2 evaluations without a better distance.*add --patience 4"):
        train.run(gan(12, patience=2), Setup(device="cpu", resume=run))
    assert load_gan(run.last).step == 8
    assert train.run(gan(10, patience=4), Setup(device="cpu", resume=run)) is not None


def test_a_baseline_is_made_longer_by_its_own_steps(tmp_path: Path) -> None:
    def vae(steps: int) -> TrainConfig:
        baseline = Baseline(kind="vae", steps=steps, batch_size=64, latent_dim=2)
        return TrainConfig(baseline=baseline, features="pixels", num_samples=60, log_every=2, evaluate_every=2)

    run = Run(tmp_path / "run")
    train.run(vae(2), Setup(device="cpu", out=run.folder))
    (finding,) = longer(done(train.run(vae(4), Setup(device="cpu", resume=run))))
    assert "stays where it is" in finding.evidence
    with pytest.raises(ValueError, match=r"is a vae: --set baseline\.steps=6 makes it longer"):
        train.run(vae(4).model_copy(update={"training": GanTraining(steps=6)}), Setup(device="cpu", resume=run))


def test_a_finished_fit_is_trained_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    fit.run(classifier(2), Setup(device="cpu", out=run.folder))
    (finding,) = longer(fit.run(classifier(3), Setup(device="cpu", resume=run)))
    assert [row["epoch"] for row in run.rows()] == [1, 2, 3]
    assert "Trained for 3 epochs" in finding.title
    assert "The schedule is now that of 3 epochs" in finding.evidence
    with pytest.raises(ValueError, match="--epochs 1 with --resume"):
        fit.run(classifier(1), Setup(device="cpu", resume=run))


def test_a_fit_starts_from_the_weights_of_a_run(tmp_path: Path) -> None:
    first, second = Run(tmp_path / "first"), Run(tmp_path / "second")
    fit.run(classifier(3), Setup(device="cpu", out=first.folder))
    begun: list[dict[str, Tensor]] = []
    config = classifier(1, network=NetworkConfig(name=str(first.folder)))
    config = config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": 1e-12})})
    outcome = fit.run(config, Setup(device="cpu", out=second.folder))
    begun += [weights(first.best), weights(second.last)]
    assert all(torch.allclose(begun[0][name], begun[1][name], atol=1e-6) for name in begun[0])
    kept = resolve(FitConfig, file=second.folder / "config.yaml")
    assert kept.network == NetworkConfig(name="mlp", width=8)
    assert kept.start_from == str(first.folder.absolute())
    assert dict(outcome.results.header)["weights from"] == str(first.folder.absolute())
    assert load_trained(second.folder)[1].name == "mlp"


def test_what_a_fit_cannot_start_from_is_one_clear_line(tmp_path: Path) -> None:
    run = Run(tmp_path / "first")
    fit.run(classifier(1), Setup(device="cpu", out=run.folder))
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pth")
    named = NetworkConfig(name=str(run.folder))
    cases = [
        (
            classifier(1, network=NetworkConfig(name=str(tmp_path / "w.pth"))),
            "weights without their architecture: write",
        ),
        (classifier(1, network=named.model_copy(update={"width": 4})), "width and stages are those of"),
        (classifier(1, network=named, data=DataConfig(resize=12)), "was trained on 1x8x8 images .*: add --resize 8"),
    ]
    for config, words in cases:
        with pytest.raises(ValueError, match=words):
            fit.run(config, Setup(device="cpu", out=tmp_path / "x"))
    assert not (tmp_path / "x").exists()
