import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from advgan.config import DataConfig
from advgan.storage.atomic import replacing, write_atomically
from advgan.storage.runs import Run, create_run, latest_run, open_run


@pytest.fixture(autouse=True)
def work_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_runs_are_numbered_and_named() -> None:
    folders = [create_run("fit", name, DataConfig()).folder.as_posix() for name in ("digits", "a/b: c", "")]
    assert folders == ["runs/fit/00001-digits", "runs/fit/00002-a-b-c", "runs/fit/00003-run"]
    assert latest_run("fit").folder.name == "00003-run"
    environment = json.loads(Path(folders[0], "env.json").read_text())
    assert environment["verb"] == "fit"
    assert environment["packages"]["torch"]


def test_runs_that_start_at_once_get_different_folders() -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create_run("fit", "digits", DataConfig()), range(16)))
    assert len({run.folder for run in runs}) == 16


def test_a_folder_with_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="already holds files"):
        create_run("fit", "x", DataConfig(), out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    run = create_run("fit", "x", DataConfig(), out=tmp_path / "mine", exist_ok=True)
    assert (run.folder / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ValueError, match="is a file"):
        create_run("fit", "x", DataConfig(), out=tmp_path / "mine" / "thesis.tex")


def test_the_log_is_rewound_to_the_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (10, 20, 30):
        run.log({"step": step, "loss": 1 / step})
    whole = run.log_file.read_bytes()
    with run.log_file.open("a") as file:
        file.write('{"step": 40, "lo')  # the process died here
    assert [row["step"] for row in run.rows()] == [10, 20, 30]
    run.rewind_log(20)
    assert [row["step"] for row in run.rows()] == [10, 20]
    run.log({"step": 30, "loss": 1 / 30})
    assert run.log_file.read_bytes() == whole


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no run folder"):
        open_run(tmp_path)
    with pytest.raises(ValueError, match="no run of `advgan train`"):
        latest_run("train")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "new" / "file", "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [item.name for item in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("damage", ["edited", "emptied", "env.json damaged", "env.json lost"])
def test_a_run_goes_on_only_with_the_configuration_that_it_was_given(damage: str) -> None:
    run = create_run("fit", "digits", DataConfig(), out=Path("run"))
    run.check_config()
    if damage == "env.json lost":
        run.environment_file.unlink()
    elif damage == "env.json damaged":
        run.environment_file.write_bytes(run.environment_file.read_bytes().replace(b"fit", b"fat"))
    else:
        run.config_file.write_text("" if damage == "emptied" else run.config_file.read_text() + "seed: 1\n")
    with pytest.raises(
        ValueError, match=r"(?s)run/(config\.yaml|env\.json).*put back .*, or begin a new run with -c run"
    ):
        run.check_config()


def test_a_run_of_before_there_were_digests_goes_on() -> None:
    run = create_run("fit", "digits", DataConfig(), out=Path("run"))
    run.environment_file.write_text('{"verb": "fit"}')
    run.config_file.write_text("seed: 1\n")
    run.check_config()
