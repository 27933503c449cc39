"""Baselines and the data whose modes are known, through the same doors as every GAN."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import load_data
from advgan.gan.state import start
from advgan.sampling.stored import load_gan, save_gan
from advgan.storage.runs import open_run
from evaluation.jobs.eval.job import EvalConfig, evaluate_gan, run
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.setup import Setup
from evaluation.jobs.train import baselines
from evaluation.jobs.train.baselines import BaselineConfig, plan, run_baseline
from evaluation.report.pictures import image_grid
from evaluation.seeing.reference import Reference


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("evaluation.jobs.fixed_recipe.STEPS", 5)
    monkeypatch.setattr("evaluation.seeing.reference.NUM_REAL", 500)


def setup(out: Path, **details: Any) -> Setup:
    return Setup(device="cpu", out=out, **details)


def config(kind: str, source: str = "digits", **details: Any) -> BaselineConfig:
    baseline = {"kind": kind, "width": 4, "latent_dim": 6, "components": 8, "steps": 20, "batch_size": 16}
    values = {"data": {"source": source}, "baseline": baseline, "num_samples": 60, "log_every": 5, "evaluate_every": 10}
    return BaselineConfig.model_validate({**values, **details})


@pytest.mark.parametrize("kind", ["vae", "gaussian-mixture"])
def test_a_baseline_has_the_scores_of_a_gan(tmp_path: Path, kind: str) -> None:
    outcome = run_baseline(config(kind), setup(tmp_path / "run"))
    metrics = {score.metric for score in outcome.results.scores}
    assert {"fd[cnn]", "kid[cnn]", "precision", "recall", "coverage", "modes_covered", "mode_kl"} <= metrics
    assert "jsd_lower_bound" not in metrics
    gan = load_gan(tmp_path / "run")
    assert outcome.results.scores[0].subject == f"{kind} {gan.digest}"
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert "distance" in rows[-1]
    assert (tmp_path / "run" / "samples" / f"step-{rows[-1]['step']:07d}.png").is_file()
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").is_file()
    assert kind in (tmp_path / "run" / "report.html").read_text()
    scored = run(EvalConfig(subjects=(str(tmp_path / "run"),), num_samples=60), setup(tmp_path / "eval"))
    assert [score.value for score in scored.results.scores[:2]] == pytest.approx(
        [score.value for score in outcome.results.scores[:2]]
    )


def test_an_interrupted_vae_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_baseline(config("vae"), setup(tmp_path / "whole"))
    real_mean, calls = baselines._mean_row, list[int]()

    def interrupted(step: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
        calls.append(step)
        if step == 15:
            raise KeyboardInterrupt
        return real_mean(step, rows)

    monkeypatch.setattr(baselines, "_mean_row", interrupted)
    with pytest.raises(KeyboardInterrupt, match="is kept in"):
        run_baseline(config("vae"), setup(tmp_path / "cut"))
    monkeypatch.setattr(baselines, "_mean_row", real_mean)
    run_baseline(config("vae"), setup(tmp_path / "other", resume=open_run(tmp_path / "cut")))
    assert calls == [5, 10, 15]
    whole, cut = ((tmp_path / name / "log.jsonl").read_text() for name in ("whole", "cut"))
    assert whole == cut
    assert load_gan(tmp_path / "whole").digest == load_gan(tmp_path / "cut").digest


def test_a_damaged_checkpoint_of_a_vae_is_passed_over(tmp_path: Path) -> None:
    run_baseline(config("vae"), setup(tmp_path / "run"))
    damaged = open_run(tmp_path / "run")
    log, digest = damaged.log_file.read_text(), load_gan(damaged.last).digest
    damaged.last.write_bytes(damaged.last.read_bytes()[:-50])
    run_baseline(config("vae"), setup(tmp_path, resume=damaged))
    assert damaged.log_file.read_text() == log
    assert load_gan(damaged.last).digest == digest


def test_a_diverged_fit_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"fitting diverged before step 7 \(bound is nan\): lower baseline.learning_r"):
        baselines._mean_row(7, [{"bound": torch.tensor(1.0)}, {"bound": torch.tensor(float("nan"))}])


def test_a_plan_says_what_would_be_fitted(tmp_path: Path) -> None:
    lines = plan(config("gaussian-mixture"), setup(tmp_path))
    assert lines[1] == "8 Gaussians of 6 principal components at most, EM of 20 iterations at most, seed 0"
    assert plan(config("vae"), setup(tmp_path))[1] == "bernoulli likelihood, 6 codes, 20 steps of 16 images, seed 0"
    assert not list(tmp_path.glob("run*"))


def test_a_mixture_covers_the_ring_and_is_scored_by_its_modes(tmp_path: Path) -> None:
    data = {"source": "ring", "count": 2000}
    outcome = run_baseline(config("gaussian-mixture", data=data, num_samples=400), setup(tmp_path / "run"))
    scores = {score.metric: score.value for score in outcome.results.scores}
    assert scores["modes_captured"] == scores["modes_covered"] == 8
    assert scores["high_quality"] > 0.95
    assert scores["reverse_kl"] < 0.05
    assert scores["fd[points]"] < 0.05


@pytest.mark.parametrize("source", ["gaussian", "ring", "grid"])
def test_a_gan_of_points_is_scored_in_their_own_coordinates(tmp_path: Path, source: str) -> None:
    """An untrained one: its points lie between the modes, or beyond the range, and are neither rounded nor refused."""
    data = load_data(DataConfig(source=source, count=400))
    networks, training = GanNetworks(family="points", width=4, latent_dim=2), GanTraining(batch_size=8)
    shape = {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}
    state = start(networks, training, **shape)
    with torch.no_grad():
        for parameter in state.average.parameters():
            parameter.mul_(3)
    save_gan(tmp_path / "gan.safetensors", state, networks, training, data=data.describe())
    reference = Reference(data, choose_extractor("auto", data, setup(tmp_path)))
    scored = evaluate_gan(load_gan(tmp_path / "gan.safetensors"), reference, num_samples=50)
    metrics = {score.metric: score for score in scored.scores}
    assert {"fd[points]", "high_quality", "modes_captured", "jsd_lower_bound"} <= set(metrics)
    absent = [finding.evidence for finding in scored.findings if finding.code == "metric-not-made"]
    assert ("reverse_kl" in metrics) != any("50 generated images is of a mode" in text for text in absent)
    assert metrics["high_quality"].value < 0.5
    assert (scored.samples.flatten(1) > 1).any()
    assert image_grid(scored.samples).startswith(b"\x89PNG")


def test_stacked_digits_are_judged_by_a_classifier_of_single_ones(tmp_path: Path) -> None:
    data = load_data(DataConfig(source="stacked:digits", count=200))
    assert data.parts is not None
    extractor = choose_extractor("auto", data, setup(tmp_path))
    assert extractor.digest == choose_extractor("auto", data.parts, setup(tmp_path)).digest
    (kept,) = (tmp_path / "cache" / "judges").iterdir()
    assert kept.name.startswith(f"cnn-{data.parts.digest}")
    _, probabilities = extractor.function(data.train.unit(slice(5)))
    assert probabilities.shape == (5, 1000)


def test_points_are_not_seen_by_a_classifier(tmp_path: Path) -> None:
    data = load_data(DataConfig(source="ring", count=20))
    for features in ("inception", "runs/fit/00001"):
        with pytest.raises(ValueError, match=f"--features {features}: points are no images: leave it at auto"):
            choose_extractor(features, data, setup(tmp_path))


def test_pictures_of_points_show_where_they_are() -> None:
    from evaluation.report.scatter import SIDE, scatter

    corner = scatter(torch.tensor([0.0, 0.0]).view(1, 2, 1, 1))
    assert corner.shape == (3, SIDE, SIDE)
    assert (corner < 255).nonzero()[:, 1].min() == SIDE - 3
    assert (corner < 255).nonzero()[:, 2].max() == 2
    assert (scatter(torch.tensor([5.0, 0.5]).view(1, 2, 1, 1)) < 255).nonzero()[:, 2].min() == SIDE - 3
    line = scatter(torch.tensor([0.1, 0.1, 0.9]).view(3, 1, 1, 1)) < 255
    assert line[0, :, : SIDE // 2].sum() > 1.9 * line[0, :, SIDE // 2 :].sum() > 0
