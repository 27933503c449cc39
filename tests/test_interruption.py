"""A run that is killed outright, again and again, ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAIN = ["train", "--steps", "60", "--set", "log_every=2", "--set", "evaluate_every=4", "-n", "64", "-b", "16"]
TRAIN += ["--set", "networks.width=8", "--set", "networks.latent_dim=8", "--family", "dcgan", "--loss", "hinge"]
FIT = ["fit", "--epochs", "8", "--set", "training.average_decay=0.9", "--set", "training.augmentation=shift"]
FIT += ["--defense", "pgd", "--steps", "2", "--eps", "0.1", "--model", "mlp"]


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", "import cli; cli.main()", *arguments, "-q", "--device", "cpu"]


def rows(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.is_file() else 0


def run_and_kill(arguments: list[str], folder: Path, *, after_rows: int, delay: float = 0.0) -> None:
    """Kill the process without warning once it has logged so many rows more, and `delay` seconds have passed."""
    process = subprocess.Popen(command(arguments), stdout=subprocess.DEVNULL)
    wanted = rows(folder) + after_rows
    while process.poll() is None and rows(folder) < wanted:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it finished before it was killed: give it more steps"


@pytest.mark.parametrize(("arguments", "kills"), [(TRAIN, (3, 8, 5)), (FIT, (1, 3, 2))], ids=["train", "fit"])
def test_a_run_killed_three_times_ends_bit_identical(
    arguments: list[str], kills: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command([*arguments, "--out", str(whole)]), check=True, stdout=subprocess.DEVNULL)

    run_and_kill([*arguments, "--out", str(killed)], killed, after_rows=kills[0])
    for after_rows in kills[1:]:
        run_and_kill([arguments[0], "--resume", str(killed)], killed, after_rows=after_rows)
    subprocess.run(command([arguments[0], "--resume", str(killed)]), check=True, stdout=subprocess.DEVNULL)

    for name in ("log.jsonl", "scores.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("checkpoints/last.safetensors", "checkpoints/best.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


SHORT = ["--steps", "48", "--set", "log_every=2", "--set", "evaluate_every=4", "-n", "64", "-b", "16"]
SHORT += ["--set", "networks.latent_dim=8", "--set", "patience=null"]
PRESETS = {
    "digits": ["--set", "networks.width=8"],
    "infogan": ["--set", "networks.width=4"],
    "progressive": ["--set", "networks.width=4"],
    "projection": ["--set", "networks.width=4"],
    "diffaugment": ["--set", "networks.width=4", "--set", "training.augmentation_target=0.6"],
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_killed_at_random_points_end_bit_identical(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four kills each, twenty in all: after a random number of log rows and a random moment more."""
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    arguments = ["train", "--preset", preset, "--data", "digits", *SHORT, *PRESETS[preset]]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command([*arguments, "--out", str(whole)]), check=True, stdout=subprocess.DEVNULL)

    points = random.Random(preset)
    for number in range(4):
        start = [*arguments, "--out", str(killed)] if number == 0 else ["train", "--resume", str(killed)]
        run_and_kill(start, killed, after_rows=points.randint(1, 6), delay=points.random() / 10)
    subprocess.run(command(["train", "--resume", str(killed)]), check=True, stdout=subprocess.DEVNULL)

    for name in ("log.jsonl", "scores.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("checkpoints/last.safetensors", "checkpoints/best.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
