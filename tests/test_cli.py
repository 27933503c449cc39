"""The command line through its real entry point: exit codes, and what stands on stdout."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

import cli

SMALL_GAN = ["--family", "mlp", "--steps", "20", "-n", "64", "--set", "log_every=10", "--set", "evaluate_every=10"]


Advgan = Callable[..., Any]


def test_attack_with_nothing_trained_fits_a_network_and_prints_json_alone(advgan: Advgan, command_cache: Path) -> None:
    ended = advgan("attack", "--model", "cnn", "--attack", "fgsm", "--eps", "0.2", "-n", "100", "--json")
    assert ended.code == 0
    answer = json.loads(ended.out)
    assert answer["command"] == "attack"
    assert Path(answer["run"], "report.html").is_file()
    settings = ("clean", "fgsm-linf-0.2")
    metrics = {score["metric"]: score for score in answer["scores"] if score["setting"] in settings}
    assert metrics["clean_accuracy"]["value"] > 0.9
    assert metrics["robust_accuracy"]["value"] < metrics["clean_accuracy"]["value"]
    assert metrics["forwards_per_image"]["value"] == 1
    assert "fitting the cnn of the fixed recipe" in ended.err
    assert list((command_cache / "judges").glob("cnn-*"))


def test_the_console_command_prints_json_and_nothing_else(tmp_path: Path, command_cache: Path) -> None:
    command = [sys.executable, "-m", "cli", "attack", "--model", "cnn", "--attack", "fgsm", "-n", "50", "--json"]
    environment = {
        "ADVGAN_CACHE_DIR": str(command_cache),
        "PYTHONPATH": str(Path(cli.__file__).parent),
        "PATH": "/usr/bin:/bin",
        "MPLBACKEND": "of-another-program",
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["scores"]
    assert done.stdout.count("\n") == 1


def test_a_gate_that_fails_exits_with_100_and_one_that_holds_with_0(advgan: Advgan) -> None:
    attack = ["attack", "--model", "cnn", "--attack", "fgsm", "--eps", "0.2", "-n", "50", "--set", "curve_points=0"]
    failed = advgan(*attack, "--fail-under", "robust_accuracy=0.99")
    assert failed.code == 100
    assert "robust_accuracy" in failed.err
    assert advgan(*attack, "--fail-under", "robust_accuracy=0", "--fail-over", "success_rate=1").code == 0
    missing = advgan(*attack, "--fail-under", "fid=3")
    assert missing.code == 2
    assert "no such score" in missing.err


def test_targeted_attacks_and_several_budgets_are_scored_apart(advgan: Advgan) -> None:
    arguments = ["--attack", "pgd,uniform", "--eps", "0.1,64/255", "--steps", "3", "-n", "60", "--targeted", "--json"]
    ended = advgan("attack", "--model", "cnn", "--norm", "linf", "--set", "curve_points=2", *arguments)
    settings = {score["setting"] for score in json.loads(ended.out)["scores"]}
    attacked = {f"{name}-linf-{eps}" for name in ("pgd", "uniform") for eps in ("0.1", "0.25098")}
    assert settings == attacked | {"clean", "worst-case-linf-0.1", "worst-case-linf-0.25098"}


@pytest.mark.parametrize("model", ["nothing.pt", "nets.py:Net", "resnet18x"])
@pytest.mark.parametrize("verb", [["attack"], ["augment", "--attack", "fgsm"]], ids=lambda verb: verb[0])
def test_a_dry_run_refuses_a_model_that_is_not_there(verb: list[str], model: str, advgan: Advgan) -> None:
    ended = advgan(*verb, "--model", model, "--dry-run")
    assert ended.code == 2
    assert f"no model '{model}'" in ended.err


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(advgan: Advgan, tmp_path: Path) -> None:
    for verb in ("fit", "train", "demo"):
        ended = advgan(verb, "--dry-run")
        assert ended.code == 0
        assert "seed:" in ended.out
        assert "# digits: 1,077 train" in ended.out
    assert not list(tmp_path.iterdir())


def test_train_eval_sample_augment_fit_and_report_work_on_each_other(advgan: Advgan, tmp_path: Path) -> None:
    assert advgan("train", "--conditional", *SMALL_GAN, "--out", "gan").code == 0
    for name in ("config.yaml", "env.json", "log.jsonl", "results.json", "scores.csv", "report.html"):
        assert (tmp_path / "gan" / name).is_file()
    rows = [json.loads(line) for line in (tmp_path / "gan/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20]

    scores = json.loads(advgan("eval", "gan", "-n", "50", "--json").out)["scores"]
    metrics = {score["metric"] for score in scores}
    assert {"fd[cnn]", "kid[cnn]", "modes_covered", "precision", "jsd_lower_bound"} <= metrics
    assert all(score["samples"] > 0 and score["protocol"] for score in scores)
    some = json.loads(advgan("eval", "--ckpt", "gan", "-n", "50", "--metrics", "recall,mode_kl", "--json").out)
    assert {score["metric"] for score in some["scores"]} == {"recall", "mode_kl"}

    drawn = advgan("sample", "--ckpt", "gan", "-n", "12", "--label", "7", "--out", "drawn")
    assert drawn.out.split() == ["drawn/images", "drawn/samples_12x8x8x1.npz", "drawn/samples/grid.png"]
    assert all((tmp_path / file).exists() for file in drawn.out.split())
    assert len(list((tmp_path / "drawn/images/7").glob("*.png"))) == 12
    with np.load(tmp_path / "drawn/samples_12x8x8x1.npz") as arrays:
        assert arrays["arr_0"].shape == (12, 8, 8, 1)
        assert set(arrays["arr_1"]) == {7}

    arguments = ["--attack", "fgsm", "--eps", "0.2", "--num-adversarial", "40", "--num-generated", "30"]
    augment = ["augment", "--model", "cnn", "--ckpt", "gan", "--min-confidence", "0", *arguments]
    assert advgan(*augment, "--out", "more").out.splitlines()[-1] == "more/images"
    check_augmented(tmp_path / "more" / "images")

    fit = ["fit", "--epochs", "1", "--model", "mlp", "--extra", "more/images", "--defense", "fgsm", "--eps", "0.1"]
    assert advgan(*fit, "--out", "hard").code == 0
    assert advgan("report", "gan", "hard", "-o", "both.html").out.strip() == "both.html"
    assert (tmp_path / "both.html").stat().st_size > 10_000
    (tmp_path / "gan/report.html").unlink()
    assert advgan("report", "gan").code == 0
    assert (tmp_path / "gan/report.html").is_file()


def check_augmented(folder: Path) -> None:
    """Every row names a picture that is there, and the floats differ from it by rounding alone."""
    with (folder / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    sources = [row["source"] for row in rows]
    assert {source: sources.count(source) for source in set(sources)} == {
        "real": 1077,
        "adversarial": 40,
        "generated": 30,
    }
    adversarial = [row for row in rows if row["source"] == "adversarial"]
    assert {(row["attack"], row["eps"], row["norm"]) for row in adversarial} == {("fgsm", "0.2", "linf")}
    with np.load(folder / "images.npz") as arrays:
        floats = arrays["images"]
    assert len(floats) == len(rows)
    for row, image in zip(rows, floats, strict=True):
        assert Path(row["file_name"]).parent.name == row["label"]
        pixels = np.asarray(Image.open(folder / row["file_name"]))
        assert np.abs(pixels / 255 - image[..., 0]).max() <= 0.5 / 255 + 1e-6


def test_an_augmented_set_is_a_data_set_too(advgan: Advgan) -> None:
    assert advgan("augment", "--model", "cnn", "--attack", "gaussian", "--eps", "0.1", "--out", "set").code == 0
    ended = advgan("fit", "--data", "set/images", "--dry-run")
    assert ended.code == 0
    assert "10 classes" in ended.out


@pytest.mark.parametrize("kind", ["safetensors", "pt2", "onnx"])
def test_a_generator_and_a_classifier_are_exported(advgan: Advgan, tmp_path: Path, kind: str) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
    assert advgan("train", *SMALL_GAN, "--out", "gan").code == 0
    assert advgan("fit", "--model", "mlp", "--epochs", "1", "--out", "net").code == 0
    for run in ("gan", "net"):
        ended = advgan("export", "--ckpt", run, "--format", kind, "--out", f"{run}-out", "--json")
        about = json.loads((tmp_path / f"{run}-out/config.json").read_text())
        assert json.loads(ended.out)["files"] == [f"{run}-out/{about['file']}", f"{run}-out/config.json"]
        assert about["size"] == 8
        assert (tmp_path / f"{run}-out" / about["file"]).stat().st_size > 1000
    if kind != "safetensors":
        attack = ["attack", "--model", f"net-out/model.{kind}", "-n", "50", "--set", "curve_points=0"]
        assert advgan(*attack, "--attack", "uniform", "--eps", "0.1").code == 0
        gradient = advgan(*attack, "--attack", "fgsm", "--eps", "0.1")
        assert gradient.code == (2 if kind == "onnx" else 0)
        assert ("gives no gradients" in gradient.err) == (kind == "onnx")


def test_the_lists_name_what_there_is(advgan: Advgan) -> None:
    for what, name in [("attacks", "pgd"), ("data", "cifar10"), ("metrics", "recall"), ("models", "resnet")]:
        ended = advgan("ls", what)
        assert ended.code == 0
        assert any(line.split()[0] == name for line in ended.out.splitlines())
        assert all(len(line.split()) > 1 for line in ended.out.splitlines()), "a name without a word about it"
    assert "train --preset digits" in advgan("ls", "presets").out


def test_the_configuration_is_shown_written_and_checked(advgan: Advgan, tmp_path: Path) -> None:
    assert "epochs:" in advgan("config", "show", "fit").out
    assert advgan("config", "init", "train", "mine.yaml").code == 0
    assert advgan("config", "validate", "train", "mine.yaml").code == 0
    assert advgan("config", "init", "train", "mine.yaml").code == 2
    (tmp_path / "mine.yaml").write_text("training: {lossy: hinge}\n")
    bad = advgan("config", "validate", "train", "mine.yaml")
    assert bad.code == 2
    assert "did you mean loss" in bad.err


def test_the_environment_is_json(advgan: Advgan) -> None:
    assert json.loads(advgan("env").out)["packages"]["torch"]


def test_the_environment_variable_wins_over_the_file_and_loses_to_the_flag(
    advgan: Advgan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("training: {epochs: 3}\n")
    assert "epochs: 3\n" in advgan("fit", "-c", "c.yaml", "--dry-run").out
    monkeypatch.setenv("ADVGAN_FIT_EPOCHS", "4")
    assert "epochs: 4\n" in advgan("fit", "-c", "c.yaml", "--dry-run").out
    assert "epochs: 5\n" in advgan("fit", "-c", "c.yaml", "--dry-run", "--epochs", "5").out


def test_a_flag_that_is_not_given_leaves_the_preset_alone(advgan: Advgan) -> None:
    assert "conditional: true" in advgan("train", "--preset", "digits", "--dry-run").out
    assert "conditional: false" in advgan("train", "--preset", "digits", "--unconditional", "--dry-run").out


def test_a_resumed_run_keeps_its_own_settings(advgan: Advgan) -> None:
    assert advgan("train", *SMALL_GAN, "--out", "gan").code == 0
    refused = advgan("train", "--resume", "gan", "--loss", "hinge")
    assert refused.code == 2
    assert (
        "--resume continues a run with its own configuration: drop the other settings, --loss (--steps, " in refused.err
    )


def test_an_interrupt_exits_with_130_and_names_the_way_on(advgan: Advgan, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluation.jobs.train import job as train

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_watched", interrupted)
    ended = advgan("train", *SMALL_GAN, "--out", "gan")
    assert ended.code == 130
    assert "advgan train --resume gan" in ended.err


@pytest.mark.parametrize("verb", sorted(cli.cli.commands))
def test_every_help_is_complete(advgan: Advgan, verb: str) -> None:
    ended = advgan(verb, "--help")
    assert ended.code == 0
    for parameter in cli.cli.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{verb} {parameter.name} has no help"


@pytest.mark.parametrize("group", [(), ("config",)], ids=["advgan", "config"])
def test_a_group_alone_shows_its_help_line_by_line(group: tuple[str, ...], advgan: Advgan) -> None:
    ended = advgan(*group)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: advgan")
    assert "\nCommands:\n" in ended.err
