import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from advgan.storage import cache, step_log
from advgan.storage.atomic import filling, replacing, write_atomically
from advgan.storage.cache import cached
from advgan.storage.runs import Run
from advgan.storage.space import check_space, disk_trouble, megabytes


def full_below(folder: Path, monkeypatch: pytest.MonkeyPatch, *, number: int = errno.ENOSPC) -> None:
    """Let every flush of a file below a folder fail as on a full disk."""
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(folder):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_folder_that_can_be_written_passes_and_nothing_is_left(tmp_path: Path) -> None:
    check_space(tmp_path / "runs" / "train", needed=1)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_said_with_what_is_needed_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 3 * 10**6))
    check_space(tmp_path, needed=3 * 10**6)
    with pytest.raises(OSError, match=r"469 MB are needed, 3\.0 MB are free: use --out") as raised:
        check_space(tmp_path / "run", needed=469 * 10**6, way="use --out")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "run"))


def test_a_file_where_a_folder_should_be_cannot_be_written_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        check_space(tmp_path / "file" / "run")


def write_text(path: Path) -> None:
    write_atomically(path, "new" * 10**6)


def write_piecewise(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(bytes(10**6))


def append_row(path: Path) -> None:
    step_log.append(path, {"step": 2})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("write", [write_text, write_piecewise])
def test_on_a_full_disk_the_old_file_stays_and_the_error_names_it_and_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], number: int
) -> None:
    file = tmp_path / "results.json"
    file.write_text("old")
    full_below(tmp_path, monkeypatch, number=number)
    with pytest.raises(OSError, match=r"it needs \d\.0 MB or more") as raised:
        write(file)
    assert (raised.value.errno, raised.value.filename) == (number, str(file))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_does_not_fit_is_named_and_gone(tmp_path: Path) -> None:
    def fill() -> None:
        with filling(tmp_path / "images") as folder:
            (folder / "0.png").write_bytes(bytes(10**6))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "1.png"))

    with pytest.raises(OSError, match=r"it needs 1\.0 MB or more") as raised:
        fill()
    assert raised.value.filename == str(tmp_path / "images")
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_does_not_fit_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    resource: Any = pytest.importorskip("resource")
    log = tmp_path / "log.jsonl"
    step_log.append(log, {"step": 1})
    before, limits = log.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 9, limits[1]))
    try:
        with pytest.raises(OSError, match="it needs") as raised:
            step_log.append(log, {"step": 2, "losses": list(range(10**4))})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(log)
    assert log.read_bytes() == before


def test_an_entry_of_a_full_cache_is_made_aside_once_and_the_cache_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "content").write_text("whole")

    full_below(tmp_path, monkeypatch)
    monkeypatch.setattr(cache, "_unkept", {})
    for _ in range(2):
        assert (cached(tmp_path / "judges" / "entry", build) / "content").read_text() == "whole"
    assert len(built) == 1
    assert len(caplog.records) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_an_entry_is_made_counts_though_a_library_put_it_into_other_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_unkept", {})

    def build(folder: Path) -> None:
        if folder.is_relative_to(tmp_path):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:
                raise ValueError("mnist cannot be downloaded") from None
        (folder / "content").touch()

    assert not cached(tmp_path / "entry", build).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_troubles_are_none_of_the_disk() -> None:
    assert disk_trouble(ValueError("no images")) is None
    assert disk_trouble(PermissionError(errno.EACCES, "the user's file")) is None


def test_megabytes_are_for_people() -> None:
    assert [megabytes(size) for size in (0, 10**6, 469 * 10**6)] == ["0.1 MB", "1.0 MB", "469 MB"]


def test_asking_for_room_does_not_meet_another_process_that_clears_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def meanwhile(descriptor: int) -> None:
        flush(descriptor)
        Run(tmp_path).clear_abandoned()

    monkeypatch.setattr(os, "fsync", meanwhile)
    check_space(tmp_path)
    assert not list(tmp_path.iterdir())
