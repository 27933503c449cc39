"""How a signal ends the command: what is open is closed, nothing half-written stays, and the exit code says which.

Ctrl-C (SIGINT), the end of a job in a batch system or a container (SIGTERM) and that of a terminal (SIGHUP) end it the
same way. While nothing has to be closed, which is also while modules are imported, the process ends at once: an
exception in the middle of an import is shown with its trace, or lost. Only the command watches signals: whoever uses
the library gets Python's KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
"""As in `typing`, which takes longer to import than all this."""
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

WORDS = {"SIGINT": "Interrupted.", "SIGTERM": "Stopped by SIGTERM.", "SIGHUP": "Stopped by SIGHUP."}
INTERRUPTED = 130
PATIENCE_SECONDS = 1.0
"""After a first signal: others are taken for the same wish, as launchers and process groups send it more than once."""


class Stopped(BaseException):
    """The command was interrupted; the message says how to go on."""


class _State:
    received = ""
    """The first signal that came."""
    since = 0.0
    closing = False
    """Whether a signal is to raise, so that what is open is closed."""


_unfinished: dict[str, None] = {}


def watch() -> None:
    """Let signals end this process as described above; those that it was started to ignore, as by nohup, stay ignored.

    Call it before anything else is imported.
    """
    for name in WORDS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _receive)
    sys.unraisablehook = _unraisable


def received() -> bool:
    """Whether a signal came."""
    return bool(_State.received)


def word() -> str:
    """What happened, as the first word of the last line."""
    return WORDS[_State.received or "SIGINT"]


def exit_code() -> int:
    """128 and the number of the signal, as shells count; an interrupt without a signal counts as SIGINT."""
    return 128 + getattr(signal, _State.received) if _State.received else INTERRUPTED


def speaks() -> bool:
    """Whether this process says that it ends: of several on one job, the first."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def closing() -> Iterator[None]:
    """Let a signal raise KeyboardInterrupt in the block, so that all is closed; it leaves the block as Stopped."""
    _State.closing = True
    try:
        yield
    except KeyboardInterrupt as end:
        raise Stopped(str(end)) from None
    finally:
        _State.closing = False


@contextmanager
def unfinished(path: str | os.PathLike[str]) -> Iterator[None]:
    """Remove what has a temporary name after the block, and should the process end at once within it."""
    name = os.path.abspath(path)
    _unfinished[name] = None
    try:
        yield
    finally:
        _remove(name)
        _unfinished.pop(name, None)


def remove_at_exit(path: str | os.PathLike[str]) -> None:
    """Remove a temporary file or folder when the process ends, however it does."""
    import atexit

    name = os.path.abspath(path)
    _unfinished[name] = None
    atexit.register(_remove, name)


def leave(code: int) -> None:
    """End at once: what was said is written, what was half-written removed, and nothing else is run."""
    for path in list(_unfinished):
        _remove(path)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError, AttributeError):  # closed, gone, or in the middle of a write
            stream.flush()
    os._exit(code)


def _receive(number: int, frame: FrameType | None) -> None:
    first, now = not _State.received, time.monotonic()
    if first:
        _State.received, _State.since = signal.Signals(number).name, now
        if _State.closing:
            raise KeyboardInterrupt
    elif now - _State.since < PATIENCE_SECONDS:
        return
    _leave_with_a_word()


def _leave_with_a_word() -> None:
    if speaks():
        with suppress(OSError):
            os.write(2, f"{word()}\n".encode())
    leave(exit_code())


def _unraisable(lost: Any) -> None:
    """An interrupt that came in the middle of what cannot raise, such as the removal of an object, is not lost."""
    if received() and isinstance(lost.exc_value, KeyboardInterrupt):
        _leave_with_a_word()
    sys.__unraisablehook__(lost)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)
