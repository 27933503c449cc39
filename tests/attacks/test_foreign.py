"""Foreign code cannot end the program, and what it sets in the process is put back."""

import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier
from attacks.foreign import EndedError, Guarded, started, told


class Own(BaseException):
    """No error, and nothing that anybody expects."""


def ends(how: BaseException) -> None:
    raise how


@pytest.mark.parametrize("how", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), StopIteration(), Own("bye")])
def test_what_would_end_the_program_is_an_error(how: BaseException) -> None:
    for block in (Guarded("model.py"), started("model.py")):
        with pytest.raises(EndedError, match=rf"^model.py tried to end the program \({type(how).__name__}"), block:
            ends(how)


def test_errors_and_the_keys_of_the_user_pass() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is to ignore it
    with pytest.raises(ZeroDivisionError), Guarded("model.py"):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), Guarded("model.py"):
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_words_of_an_error_are_its_own_code() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            sys.exit(0)

    assert told(SilentError()) == "SilentError: no message"


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "folder": (Path.cwd, lambda: os.chdir("/")),
    "default dtype": (torch.get_default_dtype, lambda: torch.set_default_dtype(torch.float64)),
    "gradients": (torch.is_grad_enabled, lambda: torch.set_grad_enabled(False)),
}
AT_START: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    **CHANGES,
    "default device": (torch.get_default_device, lambda: torch.set_default_device("meta")),
    "threads": (torch.get_num_threads, lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
    "deterministic": (torch.get_deterministic_debug_mode, lambda: torch.set_deterministic_debug_mode(1)),
    "anomalies": (torch.is_anomaly_enabled, lambda: torch.autograd.set_detect_anomaly(True)),
    "stdout": (lambda: sys.stdout, lambda: setattr(sys, "stdout", None)),
    "argv": (lambda: list(sys.argv), lambda: sys.argv.clear()),
    "path": (lambda: list(sys.path), lambda: setattr(sys, "path", [])),
    "warnings": (lambda: list(warnings.filters), lambda: warnings.simplefilter("error")),
    "environment": (lambda: os.environ.get("ADVGAN_CACHE_DIR"), lambda: os.environ.update(ADVGAN_CACHE_DIR="x")),
    "new variable": (lambda: os.environ.get("WORLD_SIZE"), lambda: os.environ.update(WORLD_SIZE="2")),
    "signals": (lambda: signal.getsignal(signal.SIGINT), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    "all notes": (lambda: logging.root.manager.disable, lambda: logging.disable(logging.CRITICAL)),
    "our notes": (lambda: logging.getLogger("advgan").handlers, lambda: logging.getLogger("advgan").handlers.clear()),
    "random": (random.getstate, lambda: random.seed(1)),
    "numpy": (lambda: np.random.get_state()[1].tolist(), lambda: np.random.seed(1)),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("name", AT_START)
def test_what_a_file_sets_is_put_back(name: str) -> None:
    read, change = AT_START[name]
    before = read()
    with started("model.py"):
        change()
    assert read() == before


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_pass_sets_is_put_back(name: str) -> None:
    read, change = CHANGES[name]

    class Changing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            change()
            return images.flatten(1)

    before = read()
    Classifier(Changing())(torch.rand(2, 1, 2, 2))
    assert read() == before


def test_settings_of_a_file_hold_while_its_objects_are_built() -> None:
    with started("model.py"):
        with started("importing"):
            torch.set_default_dtype(torch.float64)
        assert torch.zeros(1).dtype == torch.float64
    assert torch.zeros(1).dtype == torch.float32


def test_folders_that_a_file_adds_stay_behind_ours() -> None:
    before = list(sys.path)
    try:
        with started("model.py"):
            sys.path.insert(0, "/of/the/model")
        assert sys.path == [*before, "/of/the/model"]
    finally:
        sys.path[:] = before


def test_a_network_that_draws_draws_anew_in_each_pass() -> None:
    classifier = Classifier(nn.Sequential(nn.Flatten(), nn.RReLU()).train())
    assert not torch.equal(classifier(-torch.rand(8, 1, 2, 2)), classifier(-torch.rand(8, 1, 2, 2)))
