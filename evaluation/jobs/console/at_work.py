"""While a job works: stdout is kept for its result, and only errors and the user end it."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

import click


@contextmanager
def working() -> Iterator[None]:
    """Send what foreign code prints to stderr, and make an error of what it ends the program with.

    Also what it prints past Python: by the descriptor, by a program that it starts. Its `click.exceptions.Exit(0)` or
    `SystemExit(0)` would otherwise pass every gate. Raises EndedError for those; all that is raised by us passes, and
    so does the user's Ctrl-C.
    """
    from attacks.foreign import EndedError, told, would_end
    from evaluation.jobs.console.endings import raised_by_us

    try:
        with redirect_stdout(sys.stderr), _descriptor_redirected():
            yield
    except EndedError:
        raise
    except BaseException as error:
        of_click = isinstance(error, click.ClickException | click.Abort | click.exceptions.Exit)
        if would_end(error) or (of_click and not raised_by_us(error.__traceback__)):
            raise EndedError(f"foreign code tried to end the program ({told(error)})") from error
        raise


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    try:
        _flush()
        kept = os.dup(1)
    except OSError:  # closed
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Write out what Python and C keep in their buffers of stdout, each to where it was printed."""
    with suppress(AttributeError, OSError, ValueError):
        sys.__stdout__.flush()  # type: ignore[union-attr]
    with suppress(AttributeError, OSError, TypeError):  # a system whose C library has another name
        ctypes.CDLL(None).fflush(None)
