"""What holds for every test.

One thread for each and what it starts: the images are tiny, and threads would wait for each other.
"""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that a test starts
os.environ["OMP_WAIT_POLICY"] = "passive"  # as the command line sets it, for the few tests with more threads

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """The command line sets up the log of the whole process; each test gets it as it is without."""
    _quiet()
    yield
    _quiet()


def _quiet() -> None:
    log = logging.getLogger("advgan")
    log.setLevel(logging.NOTSET)
    log.propagate, log.handlers, log.filters, log.disabled = True, [], [], False


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def command_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the commands of a file share, so that a judge is fitted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def advgan(
    tmp_path: Path, command_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command line in an empty working folder."""
    import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(command_cache))

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return Ended(int(end.value.code or 0), captured.out, captured.err)

    return call
