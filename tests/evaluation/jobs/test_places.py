"""The data of a run are found from anywhere, of a new run by its configuration, of an old one by where it lies."""

from pathlib import Path

import pytest

from advgan.config import DataConfig
from advgan.config.resolve import read_yaml
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.places import found_from, with_places
from evaluation.jobs.setup import Setup
from evaluation.jobs.sources import data_of


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
        assert found_from(source, project) == source
    assert with_places(AttackConfig()) == AttackConfig()
    config = FitConfig()
    assert with_places(config) is not None
    run = Setup(device="cpu").create_run("fit", "digits", config)
    assert read_yaml(run.folder / "config.yaml")["data"]["source"] == "digits"
