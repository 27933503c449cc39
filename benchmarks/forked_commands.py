"""Commands of `advgan` in forked processes: torch is loaded once, so that hundreds of trials take minutes."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: a process with threads cannot be forked safely
os.environ.setdefault("MPLBACKEND", "Agg")

import torch

import cli

CRASHES = ("Traceback (most recent call last)", "core dumped", "terminate called", "add -vv")
"""What the output holds after an error that nobody foresaw."""


class Ended(NamedTuple):
    """How a command ended; `code` is minus the signal where one ended it, and `said` what it printed, all together."""

    code: int
    said: str
    seconds: float

    @property
    def crashed(self) -> bool:
        """Whether the user saw a trace, or the process was ended by a fault."""
        fault = self.code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGXFSZ)
        return fault or any(word in self.said for word in CRASHES)


def warm_up() -> None:
    """Load what the verbs need, so that a fork has it."""
    import matplotlib.pyplot
    import pandas
    import sklearn.datasets
    import torchvision

    import evaluation
    import evaluation.jobs.attack.job
    import evaluation.jobs.augment.job
    import evaluation.jobs.eval.job
    import evaluation.jobs.export.job
    import evaluation.jobs.fit.job
    import evaluation.jobs.sample.job
    import evaluation.jobs.train.job

    torch.set_num_threads(1)
    _ = (matplotlib.pyplot, pandas, sklearn.datasets, torchvision, evaluation)


def command(
    words: Sequence[str],
    folder: Path,
    *,
    kill_after: float | None = None,
    limit: float = 300,
    file_bytes: int | None = None,
    memory_bytes: int | None = None,
) -> Ended:
    """Run a command in a folder, with its cache in `cache` there.

    Killed (SIGKILL) after `kill_after` seconds, and after `limit` in any case; `file_bytes` is the most that a file may
    hold, `memory_bytes` what may be allocated on top of what is loaded.
    """

    def call() -> int:
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if memory_bytes is not None:
            most = memory_bytes + _address_space()
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        cli.main([*words, "-q"])
        return 0

    began = time.monotonic()
    output = folder.parent / f".{folder.name}.said"
    child = forked(call, folder, output)
    until = began + (kill_after if kill_after is not None else limit)
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() >= until:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    said = output.read_text(errors="replace")
    output.unlink()
    return Ended(os.waitstatus_to_exitcode(status), said, time.monotonic() - began)


def forked(call: Callable[[], int], folder: Path, output: Path) -> int:
    """Start `call` in a process of its own, in a folder, printing into a file; its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(folder)
        os.environ["ADVGAN_CACHE_DIR"] = str(folder / "cache")
        code = call()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
