"""The door to code that is not ours: what it does to the process is undone, and it cannot end the program.

A model's file is somebody's script. It may change the working folder or torch's settings, or call `sys.exit(0)`, which
a caller would take for success. `os._exit` and what a thread of its own does cannot be helped.
"""

import dis
import logging
import os
import random
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch

T = TypeVar("T")
Undo = Callable[[], object]
_ROOT = Path(__file__).resolve().parent.parent
_OURS = tuple(f"{_ROOT / package}{os.sep}" for package in ("attacks", "advgan", "evaluation"))
_ENVIRONMENT = re.compile(r"ADVGAN_|(LOCAL_)?(RANK|WORLD_SIZE)$|MASTER_(ADDR|PORT)$")
"""The variables that we read ourselves."""


class EndedError(ValueError):
    """Foreign code raised what would have ended the program, or an iteration of ours, without being an error."""


class Guarded:
    """A block in which foreign code runs: `what` of it, for messages.

    After it, what `settings` name is as before; by default what a pass may touch, in a few microseconds.
    Errors pass; what is no error (`SystemExit`, `GeneratorExit`, `StopIteration`, a BaseException of its own) becomes
    an `EndedError`. The user's Ctrl-C passes too. torch's random numbers are left alone: `attacks.random.seeded` puts
    them back, and a network that draws in each pass must draw anew in the next.
    """

    __slots__ = ("_settings", "_undo", "_what")

    def __init__(self, what: str, settings: Sequence[Callable[[], Undo]] | None = None) -> None:
        self._what = what
        self._settings = _OF_A_PASS if settings is None else settings

    def __enter__(self) -> Self:
        self._undo = [setting() for setting in self._settings]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in reversed(self._undo):
            undo()
        if error is not None and would_end(error):
            raise EndedError(f"{self._what} tried to end the program ({told(error)})") from error


_inside = threading.local()


@contextmanager
def started(what: str) -> Iterator[None]:
    """Guard the import of foreign code and the building of its objects, and put back all that it may have set.

    The outermost of nested blocks puts back, so that a file's settings hold while its objects are built. Folders that
    it adds to `sys.path` stay, after ours, for what it imports later. Of the environment, variables that we read are
    put back.
    """
    is_outermost = not getattr(_inside, "started", False)
    _inside.started = True
    try:
        with Guarded(what, (*_OF_A_PASS, *_OF_A_START) if is_outermost else ()):
            yield
    finally:
        _inside.started = not is_outermost


def told(error: BaseException) -> str:
    """An exception of foreign code in one line, whatever its own words do."""
    try:
        words = " ".join(str(error).split())
    except BaseException:  # its own code too
        words = ""
    return f"{type(error).__name__}: {words or 'no message'}"


def would_end(error: BaseException) -> bool:
    """Whether an exception would end the program, or an iteration, without being an error, and foreign code raised it.

    False for the user's Ctrl-C, and for what our own code raises.
    """
    if isinstance(error, Exception):
        return isinstance(error, StopIteration | StopAsyncIteration)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return True
    code = trace.tb_frame.f_code
    if code.co_filename.startswith(_OURS):  # a handler of a signal, say
        return False
    # Python raises the interruption between two instructions, a file by a statement.
    is_raised = code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return not isinstance(error, KeyboardInterrupt) or is_raised


def _folder() -> Undo:
    try:
        before = os.getcwd()
    except OSError:  # deleted
        return lambda: None
    return lambda: _changes_to(before)


def _changes_to(folder: str) -> None:
    try:
        is_same = os.getcwd() == folder
    except OSError:
        is_same = False
    if not is_same:
        os.chdir(folder)


def _kept(read: Callable[[], T], write: Callable[[T], object]) -> Callable[[], Undo]:
    def setting() -> Undo:
        before = read()
        return lambda: None if read() == before else write(before)

    return setting


def _default_device() -> Undo:
    before = torch.get_default_device()

    def undo() -> None:
        if torch.get_default_device() != before:
            torch.set_default_device(None if before.type == "cpu" else before)

    return undo


def _algorithms() -> Undo:
    before, anomaly = torch.get_deterministic_debug_mode(), torch.is_anomaly_enabled()

    def undo() -> None:
        torch.set_deterministic_debug_mode(before)
        torch.autograd.set_detect_anomaly(anomaly)

    return undo


def _streams() -> Undo:
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr

    def undo() -> None:
        sys.stdout, sys.stderr = before

    return undo


def _interpreter() -> Undo:
    argv, path, listed = sys.argv, sys.path, (list(sys.argv), list(sys.path))
    filters, shown = list(warnings.filters), warnings.showwarning

    def undo() -> None:
        added = [folder for folder in sys.path if isinstance(folder, str) and folder not in listed[1]]
        sys.argv, sys.path = argv, path
        sys.argv[:], sys.path[:] = listed[0], [*listed[1], *added]
        warnings.resetwarnings()  # which also forgets what was decided by the filters
        warnings.filters[:] = filters  # type: ignore[index]
        warnings.showwarning = shown

    return undo


def _environment() -> Undo:
    before = {name: value for name, value in os.environ.items() if _ENVIRONMENT.match(name)}

    def undo() -> None:
        for name in [name for name in os.environ if _ENVIRONMENT.match(name) and name not in before]:
            del os.environ[name]
        os.environ.update(before)

    return undo


_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _signals() -> Undo:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def undo() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return undo


def _notes() -> Undo:
    log = logging.getLogger("advgan")
    handlers, level, propagates, disabled = list(log.handlers), log.level, log.propagate, log.disabled
    below = logging.root.manager.disable

    def undo() -> None:
        log.handlers[:], log.propagate, log.disabled = handlers, propagates, disabled
        log.setLevel(level)
        logging.disable(below)

    return undo


def _other_random_numbers() -> Undo:
    of_python, of_numpy = random.getstate(), np.random.get_state()

    def undo() -> None:
        random.setstate(of_python)
        np.random.set_state(of_numpy)

    return undo


_OF_A_PASS = (
    _folder,
    _kept(torch.get_default_dtype, torch.set_default_dtype),
    _kept(torch.is_grad_enabled, torch.set_grad_enabled),
)
_OF_A_START = (
    *(_streams, _interpreter, _environment, _signals, _notes),
    *(_default_device, _algorithms, _other_random_numbers),
    _kept(torch.get_num_threads, torch.set_num_threads),
)
