"""The short form of the trials of docs/reliability.md: nothing lost or silently another, and no trace."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_few_trials_find_nothing() -> None:
    words = [sys.executable, str(ROOT / "benchmarks/reliability.py"), "--short", "--only", "kills,disks,starts"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    rows = [line.strip("| ").split(" | ") for line in ended.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["kills", "disks", "starts"]
    assert all(int(row[1]) > 0 and row[2:] == ["0"] * 4 for row in rows), ended.stdout
