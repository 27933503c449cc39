"""Work of other libraries' compiled code that Ctrl-C can end."""

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
_PATIENCE_SECONDS = 2.0


def interruptible(work: Callable[[], T], *, stop: Callable[[], None]) -> T:
    """Do `work` in a thread of its own and wait for its result; whatever ends the waiting calls `stop` first.

    Python hears of Ctrl-C only between its own instructions, so a thread that is inside compiled code is deaf to it.
    Work that does not end after `stop` is left behind, and ends with the process. An exception of the work is raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=do, daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        with suppress(Exception):
            stop()
        thread.join(_PATIENCE_SECONDS)
        raise
    if errors:
        raise errors[0]
    return results[0]
