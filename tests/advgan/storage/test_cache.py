import os
import threading
from pathlib import Path

import pytest

from advgan.storage.cache import cache_dir, cached


def test_the_environment_moves_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"
    monkeypatch.delenv("ADVGAN_CACHE_DIR")
    assert cache_dir().name == "advgan"


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "content").write_text("whole")

    for _ in range(2):
        assert (cached(tmp_path / "a/b/entry", build) / "content").read_text() == "whole"
    assert len(built) == 1
    assert os.listdir(tmp_path / "a/b") == ["entry"]


def test_a_failed_build_leaves_no_trace(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cached(tmp_path / "a/b/entry", build)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_keeps_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    def build(folder: Path) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cached(tmp_path / "a/b/entry", build)
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_of_two_builders_the_first_to_finish_wins_and_both_use_its_entry(tmp_path: Path) -> None:
    both_building = threading.Barrier(2, timeout=10)
    first_done = threading.Event()
    found: dict[str, str] = {}

    def build(name: str, folder: Path) -> None:
        (folder / "content").write_text(name)
        both_building.wait()
        if name == "slow":
            first_done.wait(10)

    def use(name: str) -> None:
        entry = cached(tmp_path / "entry", lambda folder: build(name, folder))
        found[name] = (entry / "content").read_text()
        if name == "quick":
            first_done.set()

    threads = [threading.Thread(target=use, args=(name,)) for name in ("quick", "slow")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"quick": "quick", "slow": "quick"}
    assert os.listdir(tmp_path) == ["entry"]


def test_what_a_killed_process_left_is_cleared_after_a_day_and_not_before(tmp_path: Path) -> None:
    old, young = tmp_path / ".entry.1-aa.tmp", tmp_path / ".entry.2-bb.tmp"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    cached(tmp_path / "entry", lambda folder: None)
    assert sorted(os.listdir(tmp_path)) == [young.name, "entry"]
