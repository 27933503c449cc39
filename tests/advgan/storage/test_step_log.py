import json
import math
from pathlib import Path

import pytest

from advgan.storage import step_log

ROWS = [{"step": step, "loss": math.nan if step == 20 else 1 / step} for step in (10, 20, 30)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    for row in ROWS:
        step_log.append(file, row)
    return file


def test_rows_come_back_without_their_checks(file: Path) -> None:
    assert str(step_log.read(file)) == str(ROWS)
    assert step_log.read(file.with_name("none")) == []


def test_no_bit_of_a_log_changes_unseen(file: Path) -> None:
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        try:
            found = step_log.read(file)
        except ValueError:
            continue
        assert str([{"step": row["step"], "loss": row["loss"]} for row in found]) == str(ROWS)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_row_is_named(lost: int, file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[lost]
    file.write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match=rf"line {lost + 1}, is damaged"):
        step_log.read(file)


def test_a_line_cut_short_by_a_crash_is_no_damage(file: Path) -> None:
    whole = file.read_bytes()
    for end in range(whole.rfind(b"\n", 0, -1) + 1, len(whole) - 1):
        file.write_bytes(whole[:end])
        assert len(step_log.read(file)) == 2
    step_log.append(file, ROWS[2])
    assert file.read_bytes() == whole


def test_a_log_is_rewound_to_the_same_bytes(file: Path) -> None:
    whole = file.read_bytes()
    step_log.rewind(file, 20)
    step_log.append(file, ROWS[2])
    assert file.read_bytes() == whole


def test_damage_after_the_step_does_not_matter_and_before_it_does(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"30", b"31", 1)
    file.write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match="line 3, is damaged, so what was best is not known"):
        step_log.rewind(file, 30)
    step_log.rewind(file, 20)
    assert len(step_log.read(file)) == 2
    file.unlink()
    with pytest.raises(ValueError, match=r"log\.jsonl is missing"):
        step_log.rewind(file, 20)
    step_log.rewind(file, 0)


def test_a_log_without_checks_is_read_and_goes_on_without(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[:2]))
    step_log.append(file, ROWS[2])
    assert str(step_log.read(file)) == str(ROWS)
    assert "check" not in file.read_text()
    file.write_text(file.read_text().replace('{"step": 20', '{"step'))
    with pytest.raises(ValueError, match="line 2, is damaged"):
        step_log.read(file)


def test_long_rows_are_appended_too(tmp_path: Path) -> None:
    file, rows = tmp_path / "log.jsonl", [{"step": step, "text": "x" * 40_000} for step in range(3)]
    for row in rows:
        step_log.append(file, row)
    assert step_log.read(file) == rows


def test_a_row_is_on_the_disk_before_the_checkpoint_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a run with a checkpoint, but without the row of its step, would be refused."""
    synced: list[bytes] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((tmp_path / "log.jsonl").read_bytes()))
    step_log.append(tmp_path / "log.jsonl", {"step": 1})
    assert synced == [(tmp_path / "log.jsonl").read_bytes()]
    assert synced[0].endswith(b"\n")
