"""What holds while somebody else's library downloads: it says nothing on stdout, and waits for no answer for ever."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

_PATIENCE_SECONDS = 30.0  # for an answer of the network; torchvision itself would wait for ever


@contextmanager
def quiet_and_patient() -> Iterator[None]:
    """Keep a library's remarks off stdout, and its bars off a stderr that is no terminal; limit waiting."""
    before = socket.getdefaulttimeout()
    remarks = sys.stderr if sys.stderr.isatty() else StringIO()
    try:
        socket.setdefaulttimeout(_PATIENCE_SECONDS)
        with redirect_stdout(remarks), redirect_stderr(remarks):
            yield
    finally:
        socket.setdefaulttimeout(before)


def one_line(error: Exception) -> str:
    """What a library complains of, short enough for a message of ours."""
    return " ".join(str(error).split())[:160] or type(error).__name__
