"""Several processes, started by torchrun: the same table as one, also after one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent
ATTACK = ["attack", "--model", "cnn", "--attack", "fgsm,pgd,square", "--eps", "0.05,0.1,0.2", "-n", "120", "-q"]
SETTINGS = ["--set", "chunk_size=20", "--set", "curve_points=0", "--set", "probes=0", "--queries", "300"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the classifier that is attacked lies cached already."""
    folder = tmp_path_factory.mktemp("torchrun")
    one(folder, "fitted", "--attack", "uniform", "-n", "20", "--model", "cnn", "--set", "curve_points=0")
    return folder


def environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    return {**kept, "PYTHONPATH": str(ROOT), "ADVGAN_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}


def one(folder: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "attack", *options, "--out", out]
    return subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True, text=True)


def two(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cli"]
    return subprocess.Popen(
        [*launch, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def table(home: Path) -> bytes:
    one(home, "alone", *ATTACK[1:], *SETTINGS)
    return (home / "alone/scores.csv").read_bytes()


def test_two_processes_give_the_table_of_one_and_print_it_once(home: Path, table: bytes) -> None:
    process = two(home, *ATTACK, *SETTINGS, "--out", "shared", "--json")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert (home / "shared/scores.csv").read_bytes() == table
    assert json.loads(out)["command"] == "attack"  # one object: the second process is silent


def test_a_killed_process_loses_nothing_and_resuming_gives_the_same_table(home: Path, table: bytes) -> None:
    process = two(home, *ATTACK, *SETTINGS, "--out", "killed")
    searches = home / "killed/searches"
    deadline = time.monotonic() + 200
    while len(list(searches.glob("*.safetensors"))) < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (home / "killed/results.json").exists()
    done = len(list(searches.glob("*.safetensors")))
    assert done < 18, "killed too late to say anything"

    again = two(home, "attack", "--resume", "killed", "-q")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert (home / "killed/scores.csv").read_bytes() == table


def workers(launcher: int) -> list[int]:
    """Process numbers of the launcher's children."""
    return [int(number) for number in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]
