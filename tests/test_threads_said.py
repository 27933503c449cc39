"""The command line lets waiting threads sleep, says with -v how many it chose, and refuses two processes on one GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent
DROPPED = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "WORLD_SIZE", "RANK", "LOCAL_RANK")
ONE_GPU = """
import sys, torch
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1
import cli
cli.main(sys.argv[1:])
"""


def called(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in DROPPED}
    environment = {**kept, "PYTHONPATH": str(ROOT), "ADVGAN_CACHE_DIR": str(folder / "cache"), **settings}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("settings", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(
    settings: dict[str, str], policy: str, tmp_path: Path
) -> None:
    ended = called(tmp_path, "-m", "cli", "env", OMP_DISPLAY_ENV="true", **settings)
    assert ended.returncode == 0, ended.stderr
    found = set(re.findall(r"OMP_WAIT_POLICY\s*=\s*'(\w+)'", ended.stderr))
    if not found:
        pytest.skip("this OpenMP does not show its settings")
    assert found == {policy}


def test_one_line_says_how_many_threads_were_chosen_and_why(tmp_path: Path) -> None:
    ended = called(tmp_path, "-m", "cli", "fit", "--model", "mlp", "--epochs", "1", "-v", "-o", "fitted")
    assert ended.returncode == 0, ended.stderr
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is nothing to choose from")
    assert len(re.findall(r"^threads: \d+ of \d+, by the time of a pass \(1: .* ms, 2: .* ms", ended.stderr, re.M)) == 1
    assert len(re.findall(r"^reading with \d+ threads?, one a core$", ended.stderr, re.M)) == 1


def test_more_processes_than_gpus_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(ONE_GPU)
    of_torchrun = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    alone = called(tmp_path, "start.py", "attack", LOCAL_RANK="0", RANK="0", **of_torchrun)
    assert alone.returncode == 2
    assert alone.stderr.count("\n") == 1
    assert "2 processes on this machine, which has 1 GPU(s)" in alone.stderr
    quiet = called(tmp_path, "start.py", "attack", LOCAL_RANK="1", RANK="1", **of_torchrun)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (2, "", "")
