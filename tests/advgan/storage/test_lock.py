import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from advgan.config import DataConfig
from advgan.storage.atomic import write_atomically
from advgan.storage.lock import hold, holding, is_held, join
from advgan.storage.runs import create_run, latest_run

HOLD = "from advgan.storage.lock import hold; from pathlib import Path; import sys; hold(Path(sys.argv[1]))"


def start(folder: Path, *, then: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", f"{HOLD}; print('held', flush=True); {then}", str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_another_process_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    other = start(tmp_path, then="sys.stdin.read()")
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    assert is_held(tmp_path)
    with pytest.raises(ValueError, match="is being written by another process"):
        hold(tmp_path)
    other.kill()
    other.communicate()
    assert not is_held(tmp_path)
    with holding():
        hold(tmp_path)
        hold(tmp_path)


def test_locks_end_with_their_block(tmp_path: Path) -> None:
    with holding():
        hold(tmp_path)
    other = start(tmp_path, then="")
    assert other.communicate()[0] == "held\n"


def test_auto_passes_over_a_run_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with holding():
        first, second = (create_run("train", "digits", DataConfig()) for _ in range(2))
    assert latest_run("train").folder == second.folder
    other = start(second.folder, then="sys.stdin.read()")
    assert other.stdout
    other.stdout.readline()
    assert latest_run("train").folder == first.folder
    other.communicate("")


def test_a_run_that_was_deleted_does_not_come_back_in_part(tmp_path: Path) -> None:
    with holding():
        run = create_run("train", "digits", DataConfig(), out=tmp_path / "run")
        shutil.rmtree(run.folder)
        with pytest.raises(FileNotFoundError, match="the folder of the run was deleted"):
            write_atomically(run.samples / "grid.png", b"")
        with pytest.raises(FileNotFoundError, match="the folder of the run was deleted"):
            run.log({"step": 1})
        assert not run.folder.exists()

        run.folder.mkdir()  # another run, or a deletion that met a file in the making
        (run.folder / ".lock").touch()
        with pytest.raises(FileNotFoundError, match="the folder of the run was deleted"):
            run.log({"step": 1})
        assert [path.name for path in run.folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("writer", ["another process of the job", "a file system without locks"])
def test_nor_where_the_lock_is_not_ours(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(self: FileLock) -> None:
        raise NotImplementedError("no locks here")

    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(FileLock, "_acquire", cannot)
    with holding():
        join(folder) if writer == "another process of the job" else hold(folder)
        folder.rmdir()
        with pytest.raises(FileNotFoundError, match="the folder of the run was deleted"):
            write_atomically(folder / "searches/00000-pgd.safetensors", b"")
    assert not folder.exists()


def _numbers(folder: str) -> list[str]:
    with holding():
        return [create_run("fit", f"{name}", DataConfig(), out=None).folder.name[:5] for name in range(5)]


def test_runs_that_start_together_have_numbers_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        numbers = [number for found in pool.map(_numbers, ["runs"] * 8) for number in found]
    assert sorted(numbers) == [f"{number:05d}" for number in range(1, 41)]


def test_numbers_are_compared_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("99999-b", "100000-a"):
        (tmp_path / "runs/fit" / name).mkdir(parents=True)
        (tmp_path / "runs/fit" / name / "config.yaml").write_text("")
    assert latest_run("fit").folder.name == "100000-a"
    assert create_run("fit", "c", DataConfig()).folder.name == "100001-c"
