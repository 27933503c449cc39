"""A disk that is full or cannot be written: found before the work, or named after it with the scores still shown."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from advgan.classifier.training import start
from advgan.config import ClassifierTraining, DataConfig, NetworkConfig
from advgan.data import load_data
from advgan.storage import checkpoints
from advgan.storage.atomic import streaming
from evaluation.jobs import setup as jobs_setup
from evaluation.jobs.fit import job as fit
from evaluation.record.answers import Answers
from evaluation.report.results import Results

ATTACK = ("attack", "--model", "cnn", "--data", "digits", "--attack", "fgsm", "--eps", "0.1", "-n", "20", "-q")
FIT = ("fit", "--data", "digits", "--epochs", "1", "-q")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there/results.json")


@pytest.mark.parametrize("verb", ["attack", "fit", "train", "eval", "augment", "demo", "sample", "export"])
def test_a_place_that_cannot_be_written_is_found_before_any_work(
    advgan: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(f"evaluation.jobs.{verb}.job.run", lambda *_: pytest.fail("the work has begun"))
    (tmp_path / "file").touch()
    ended = advgan(verb, "-o", "file/run")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "Error: file/run: not a directory: make room, or choose another --out\n"
    assert os.listdir(tmp_path) == ["file"]


def test_the_room_for_checkpoints_is_asked_before_training(
    advgan: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"free": 2 << 20}))
    monkeypatch.setattr(fit, "train", lambda *_, **__: pytest.fail("the training has begun"))
    ended = advgan(*FIT, "-o", "run")
    assert ended.code == 1
    assert "Error: run: no space left on device: " in ended.err.lower().replace("error", "Error")
    assert " MB are needed, 2.1 MB are free: make room" in ended.err
    assert os.listdir(tmp_path) == []


def test_the_room_is_that_of_four_checkpoints() -> None:
    data = load_data(DataConfig(source="digits"))
    training = ClassifierTraining()
    state = start(NetworkConfig(name="cnn"), training, data.train)
    weights = 4 * sum(each.numel() for each in state.network.parameters())
    room = checkpoints.room_for_checkpoints(state.to_tree(), state.optimizer)
    assert 4 * 3 * weights <= room <= 4 * 4.2 * weights


@pytest.mark.parametrize(("place", "name"), [(Results, "save"), (Answers, "save")])
def test_scores_are_shown_though_they_cannot_be_written(
    advgan: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: type, name: str
) -> None:
    monkeypatch.setattr(place, name, full)
    ended = advgan(*ATTACK, "--json")
    assert ended.code == 1
    assert "clean_accuracy" in {score["metric"] for score in json.loads(ended.out)["scores"]}
    assert ended.err.splitlines()[-1] == "Error: there/results.json: no space left on device"


def test_an_evaluation_is_shown_though_there_is_no_room_for_its_folder(
    advgan: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_setup, "create_run", full)
    ended = advgan("eval", "digits", "--data", "digits", "--features", "pixels", "--metrics", "fid", "-n", "50", "-q")
    assert ended.code == 1
    assert "fd" in ended.out
    assert ended.err.splitlines()[-1] == "Error: there/results.json: no space left on device"


def test_a_disk_that_fills_leaves_a_run_that_goes_on(
    advgan: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write_atomically", no_room)
        ended = advgan(*FIT, "-o", "Run")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "Error: Run/checkpoints/best.safetensors: no space left on device; once there is room, "
        "advgan fit --resume Run goes on"
    )
    assert advgan("fit", "--resume", "Run", "-q").code == 0


def test_a_full_disk_under_a_stream_is_told_at_its_end_alone(tmp_path: Path) -> None:
    resource: Any = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write() -> None:
        with streaming(tmp_path / "images.pth") as stream:
            torch.save({"adv_complete": torch.zeros(10**5)}, stream)

    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, limits[1]))
    try:
        with pytest.raises(OSError, match=r"it needs 0\.1 MB or more") as raised:
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(tmp_path / "images.pth")
    assert list(tmp_path.iterdir()) == []
    write()
    assert torch.load(tmp_path / "images.pth", weights_only=True)["adv_complete"].shape == (10**5,)
