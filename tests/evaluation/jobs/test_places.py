"""What a run names is found from anywhere: by the run's configuration, by where the run lies, and after a move."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import BaseModel

from advgan.config import DataConfig, NetworkConfig, Place, Section
from advgan.config.resolve import dump_yaml, read_yaml, resolve
from advgan.storage.checkpoints import load_checkpoint
from advgan.storage.places import of_run
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.demo.config import DemoConfig
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.export.config import ExportConfig
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.places import read_back, with_places
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.setup import Setup
from evaluation.jobs.sources import data_of
from evaluation.jobs.train.config import TrainConfig


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project" / "images").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("out", [None, "kept"])
@pytest.mark.parametrize("spelt", ["images", "./images", "../project/images", "stacked:images"])
def test_a_run_finds_its_data_from_another_working_folder(
    project: Path, spelt: str, out: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FitConfig(data=DataConfig(source=spelt, resize=8))
    run = Setup(device="cpu", out=Path(out) if out else None).create_run("fit", "images", config).folder.absolute()
    monkeypatch.chdir(project.parent / "elsewhere")
    found = data_of(None, str(run))
    prefix = "stacked:" if spelt.startswith("stacked:") else ""
    assert found == DataConfig(source=f"{prefix}{project / 'images'}", resize=8)
    assert data_of(DataConfig(resize=16), str(run)) == found.model_copy(update={"resize": 16})


def test_an_old_run_finds_them_in_the_folder_that_it_was_begun_in(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project / "runs" / "fit" / "00001-images"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("data: {source: images}\n")
    monkeypatch.chdir(project.parent / "elsewhere")
    for source in (run, run / "checkpoints" / "best.safetensors"):
        source.touch()
        assert data_of(None, str(source)).source == str(project / "images")
    (run / "config.yaml").write_text("data: {source: gone}\n")
    assert data_of(None, str(run)).source == "gone"


def test_names_and_whole_paths_stay_as_they_are(project: Path) -> None:
    (project / "digits").mkdir()
    for source in ("digits", "Digits", "ring", "stacked:digits", "/images", "nowhere"):
        assert with_places(DataConfig(source=source)) == DataConfig(source=source)
    assert with_places(AttackConfig()) == AttackConfig()
    config = FitConfig()
    assert with_places(config) is not None
    run = Setup(device="cpu").create_run("fit", "digits", config)
    assert read_yaml(run.folder / "config.yaml")["data"]["source"] == "digits"


CONFIGS = [AttackConfig, AugmentConfig, DemoConfig, EvalConfig, ExportConfig, FitConfig, SampleConfig, TrainConfig]
NO_PATHS = {
    *("attacks", "metrics", "protocol", "indices", "label", "traverse", "arithmetic", "push_to_hub", "family", "loss"),
    *("labelled", "options"),
}
"""Settings that are words and never paths."""


def words_of(kind: type[BaseModel]) -> Iterator[tuple[str, bool]]:
    """Every setting that takes any string, in a section and those below it, and whether it is marked as a path."""
    for name, field in kind.model_fields.items():
        inside = {field.annotation, *get_args(field.annotation)}
        inside |= {argument for each in inside for argument in get_args(each)}
        for section in inside:
            if isinstance(section, type) and issubclass(section, Section):
                yield from words_of(section)
        if str in inside:
            yield name, any(isinstance(each, Place) for each in field.metadata)


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
def test_every_setting_that_may_be_a_path_is_marked(kind: type[Section]) -> None:
    unmarked = {name for name, marked in words_of(kind) if not marked}
    assert unmarked <= NO_PATHS, "mark them with a Place, or say here that they are none"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (AttackConfig(model="kept"), "model"),
        (AttackConfig(model="kept/net.py:build"), "model"),
        (AugmentConfig(checkpoint="kept"), "checkpoint"),
        (SampleConfig(checkpoint="./kept"), "checkpoint"),
        (ExportConfig(checkpoint="kept"), "checkpoint"),
        (EvalConfig(subjects=("digits", "kept", "kept/net.py:build", "stacked:kept")), "subjects"),
        (EvalConfig(reference="kept"), "reference"),
        (EvalConfig(features=("auto", "pixels", "kept", "kept/net.py:build")), "features"),
        (TrainConfig(features="kept"), "features"),
        (FitConfig(extra="kept"), "extra"),
        (FitConfig(start_from="kept"), "start_from"),
        (FitConfig(network=NetworkConfig(name="kept/net.py:build")), "network"),
    ],
)
@pytest.mark.parametrize("life", ["kept where it was", "moved with its project", "written by an older version"])
def test_every_path_of_a_run_is_found_again(
    config: Section, key: str, life: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "kept").mkdir()
    (project / "kept" / "net.py").touch()
    run = Setup(device="cpu").create_run("any", "run", config).folder.absolute()
    if life == "written by an older version":
        (run / "config.yaml").write_text(dump_yaml(config))
        (run / "env.json").write_text("{}")
    monkeypatch.chdir(project.parent / "elsewhere")
    if life == "moved with its project":
        moved = project.parent / "elsewhere" / "deeper" / "project"
        moved.parent.mkdir()
        project.rename(moved)
        run, project = moved / run.relative_to(project), moved
    found = read_back(resolve(type(config), file=run / "config.yaml"), run)
    text = str(getattr(found, key)).replace(str(project / "kept"), "HERE")
    given = str(getattr(config, key)).replace("./kept", "kept").replace("kept", "HERE")
    assert text == given


def test_what_a_moved_run_does_not_take_along_stays_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where something else lies at the same distance from the run."""
    outside = "/nowhere-at-all/images"
    run = Setup(device="cpu").create_run("fit", "run", FitConfig(extra=outside)).folder.absolute()
    assert of_run(outside, run) == outside
    (run / "env.json").unlink()
    assert of_run(str(project / "gone"), run) == str(project / "gone")


NETWORK = """
from torch import nn
def build(num_classes, size, channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, num_classes))
"""


def test_runs_work_from_another_folder_and_after_a_move(
    project: Path, monkeypatch: pytest.MonkeyPatch, advgan: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(project)
    (project / "nets").mkdir()
    (project / "nets" / "net.py").write_text(NETWORK)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    np.savez("mine.npz", images=pixels, labels=np.arange(60) % 2)
    np.savez("more.npz", images=pixels, labels=np.arange(60) % 2)
    fit = ["fit", "--data", "mine.npz", "--extra", "more.npz", "--model", "nets/net.py:build", "--epochs", "1"]
    assert advgan(*fit, "-o", "fitted", "-q")[0] == 0
    stored = load_checkpoint(Path("fitted/checkpoints/best.safetensors"))
    assert stored.config["network"]["name"] == f"{project}/nets/net.py:build", "also where it is copied out of its run"
    attack = ["--attack", "fgsm", "--set", "probes=0", "--set", "curve_points=0", "-q"]
    assert advgan("attack", "--model", "fitted", *attack, "-o", "attacked")[0] == 0

    monkeypatch.chdir(project.parent / "elsewhere")
    for folder in ("../project", "moved"):
        if folder == "moved":
            project.rename("moved")
        assert advgan("attack", "--resume", f"{folder}/attacked", "-q")[::2] == (0, "")
        assert advgan("report", f"{folder}/attacked")[0] == 0
        more = ["--epochs", "2"] if folder == "moved" else []
        assert advgan("fit", "--resume", f"{folder}/fitted", *more, "-q")[0] == 0
        assert advgan("export", "--ckpt", f"{folder}/fitted", "-q")[0] == 0
        code, out, err = advgan("attack", "--model", f"{folder}/fitted", *attack, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["scores"][0]["data"].startswith("mine/test")
        assert json.loads(out)["scores"][0]["subject"].startswith("fitted ")
