"""Several processes of `advgan eval`, started by torchrun: the same table as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent
GENERATOR = """
import torch

def draw(indices, seed):
    return ((indices.view(-1, 1, 1, 1) * 37 + torch.arange(64).view(1, 1, 8, 8) * 11 + seed) % 256).to(torch.uint8)
"""
NETWORK = """
import torch
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 12))
"""
ARGUMENTS = ["eval", "generator.py:draw", "again.py:draw", "--compare", "--data", "digits", "-n", "90"]
OPTIONS = ["--num-real", "150", "--features", "pixels,network.py:network", "-b", "32", "--json", "-q"]
METRICS = ["--metrics", "fid,kid,precision,vendi,authenticity"]


def start(folder: Path, launch: list[str], out: str) -> "subprocess.Popen[str]":
    """Each with a cache of its own: the second must not find the features of the first."""
    kept = {key: value for key, value in os.environ.items() if key not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    values = {"PYTHONPATH": str(ROOT), "ADVGAN_CACHE_DIR": str(folder / f"cache-{out}"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *launch, *ARGUMENTS, *OPTIONS, *METRICS, "--device", "cpu", "--out", out],
        cwd=folder,
        env={**kept, **values},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one_and_print_them_once(tmp_path: Path) -> None:
    for name, source in (("generator", GENERATOR), ("again", GENERATOR.replace("37", "41")), ("network", NETWORK)):
        (tmp_path / f"{name}.py").write_text(source)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cli"]
    started = [start(tmp_path, launch, out) for launch, out in ((["cli"], "one"), (torchrun, "two"))]
    printed = []
    for process in started:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        printed.append(out)
    assert (tmp_path / "one/scores.csv").read_bytes() == (tmp_path / "two/scores.csv").read_bytes()
    assert json.loads(printed[1])["command"] == "eval"  # one object: the second process is silent
    table = (tmp_path / "two/scores.csv").read_text()
    assert "fd[network:network]" in table
    assert "difference/fd[pixels]" in table
    files = [sorted(file.name for file in (tmp_path / out).rglob("*.*")) for out in ("one", "two")]
    assert files[0] == files[1]
