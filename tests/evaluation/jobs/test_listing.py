"""`advgan ls`."""

from pathlib import Path

import pytest

from evaluation.jobs.listing import listing
from evaluation.report.results import Results


def test_one_damaged_run_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("00001-a", "00002-b", "00003-c", "00004-d"):
        folder = Path("runs/fit") / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
        Results(command="fit", title="t", run=name, verdict=f"verdict of {name}").save(folder)
    damaged, emptied, lost = (Path("runs/fit") / name / "results.json" for name in ("00001-a", "00002-b", "00003-c"))
    damaged.write_bytes(damaged.read_bytes().replace(b"verdict of", b"Verdict of"))
    emptied.write_text("")
    lost.unlink()
    found = dict(listing("runs"))
    assert found["runs/fit/00001-a"] == f"damaged ({damaged} is damaged: its content is not what was written)"
    assert found["runs/fit/00002-b"].startswith(f"damaged ({emptied} is damaged: no JSON")
    assert found["runs/fit/00003-c"] == "unfinished"
    assert found["runs/fit/00004-d"] == "verdict of 00004-d"
