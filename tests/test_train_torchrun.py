"""A GAN trained by two processes of torchrun, one of which is killed: started again, they go on where they were."""

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
TRAIN = ["train", "--family", "mlp", "--set", "networks.width=2", "--steps", "120", "-n", "32", "-b", "16", "-q"]
TRAIN += ["--set", "log_every=5", "--set", "evaluate_every=10", "--set", "patience=null", "--device", "cpu"]


def started(folder: Path, out: str) -> "subprocess.Popen[str]":
    kept = {key: value for key, value in os.environ.items() if key not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    cache = {"ADVGAN_CACHE_DIR": str(folder / "cache")}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "1"]
    return subprocess.Popen(
        [*launch, "--nproc-per-node", "2", "-m", "cli", *TRAIN, "--out", out],
        cwd=folder,
        env={**kept, **cache, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers(launcher: int) -> list[int]:
    """Process numbers of the launcher's children."""
    return [int(number) for number in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_log_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    whole = started(tmp_path, "whole")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    assert out.count("fd[cnn]") == 1  # the second process is silent

    disturbed = started(tmp_path, "killed")
    log = tmp_path / "killed" / "log.jsonl"
    deadline = time.monotonic() + 200
    while not log.is_file() or log.read_bytes().count(b"\n") < 7:
        assert disturbed.poll() is None, disturbed.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(workers(disturbed.pid)[1], signal.SIGKILL)
    _, err = disturbed.communicate(timeout=300)
    assert disturbed.returncode == 0, err
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(5, 121, 5))
    assert log.read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()
