"""Signals end the command: at once during imports, else with what was done kept and nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent
ENDINGS = [
    ("SIGINT", 130, "Interrupted."),
    ("SIGTERM", 143, "Stopped by SIGTERM."),
    ("SIGHUP", 129, "Stopped by SIGHUP."),
]
FIT = ["fit", "--model", "mlp", "--epochs", "100000", "-o", "run", "--device", "cpu"]
SENT = "import os, signal, time; os.kill(os.getpid(), signal.{name})"


def _as_in_front() -> None:
    """What starts these tests in the background ignores signals, and so would all that it starts."""
    for name, _, _ in ENDINGS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def started(folder: Path, *arguments: str, first: str = "", **options: object) -> "subprocess.Popen[str]":
    path = os.pathsep.join(filter(None, [first, str(ROOT)]))
    environment = {**os.environ, "PYTHONPATH": path, "ADVGAN_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", *arguments]
    options = {"preexec_fn": _as_in_front, **options}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **pipes, **options)  # type: ignore[call-overload, no-any-return]


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    assert out == ""
    return process.returncode, err


def temporaries(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.tmp*"))


@pytest.mark.parametrize(("name", "code", "word"), ENDINGS, ids=[name for name, _, _ in ENDINGS])
def test_a_signal_while_modules_are_imported_shows_no_trace(name: str, code: int, word: str, tmp_path: Path) -> None:
    for module in ("click", "torch"):
        first = _module(tmp_path / module, module, SENT.format(name=name))
        assert ended(started(tmp_path, "advgan", *FIT, first=str(first))) == (code, f"{word}\n")
    assert not (tmp_path / "run").exists()


def test_a_signal_that_was_to_be_ignored_is_ignored(tmp_path: Path) -> None:
    first = _module(tmp_path / "early", "click", SENT.format(name="SIGHUP") + "\nraise SystemExit(7)")

    def as_nohup_does() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = started(tmp_path, "advgan", "--help", first=str(first), preexec_fn=as_nohup_does)
    assert ended(process) == (7, "")


def test_a_training_ends_by_sigterm_as_by_ctrl_c_and_goes_on(tmp_path: Path) -> None:
    command, log = FIT, tmp_path / "run/log.jsonl"
    rows = 0
    for name, code, word in ENDINGS[1::-1]:
        process = started(tmp_path, "advgan", *command)
        while not log.is_file() or log.read_bytes().count(b"\n") < rows + 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        for _ in range(1 if name == "SIGTERM" else 3):  # a second one during the ending changes nothing
            process.send_signal(getattr(signal, name))
        found, err = ended(process)
        assert found == code
        assert err.splitlines()[-1] == f"{word} Every whole epoch is kept: advgan fit --resume run goes on."
        assert "Traceback" not in err
        assert not temporaries(tmp_path)
        rows = log.read_bytes().count(b"\n")
        command = ["fit", "--resume", "run"]


WRITING = """
import os, signal, sys, time
from pathlib import Path
from advgan.machine import signals
from advgan.storage.atomic import filling, replacing
signals.watch()
try:
    with signals.closing(), replacing(Path("file.txt")) as file, filling(Path("folder")) as folder:
        file.write_text("half")
        (folder / "part").write_text("half")
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            if sys.argv[1] == "closed":
                raise
        print("stuck", flush=True)
        time.sleep(60)
except signals.Stopped:
    signals.leave(signals.exit_code())
"""


@pytest.mark.parametrize("end", ["closed", "stuck"])
def test_nothing_half_written_stays_even_if_the_ending_is_stuck(end: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("whole")
    process = started(tmp_path, "writing", end, first=str(_module(tmp_path / "code", "writing", WRITING)))
    if end == "stuck":
        assert process.stdout
        assert process.stdout.readline() == "stuck\n"
        time.sleep(1.1)
        process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "Stopped by SIGTERM.\n" if end == "stuck" else "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "file.txt"]
    assert (tmp_path / "file.txt").read_text() == "whole"


LOST = """
import os, signal, time
from advgan.machine import signals
signals.watch()
class Removed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
with signals.closing():
    Removed()
    time.sleep(60)
"""


def test_a_signal_during_the_removal_of_an_object_is_not_lost(tmp_path: Path) -> None:
    process = started(tmp_path, "lost", first=str(_module(tmp_path / "code", "lost", LOST)))
    assert ended(process) == (130, "Interrupted.\n")


def _module(folder: Path, name: str, text: str) -> Path:
    folder.mkdir()
    (folder / f"{name}.py").write_text(text)
    return folder
