"""Keep other libraries' downloads off stdout, and limit how long they wait for an answer."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

_PATIENCE_SECONDS = 30.0  # socket timeout; torchvision sets none


@contextmanager
def quiet_and_patient() -> Iterator[None]:
    """Redirect a library's output to stderr (or drop it where stderr is no terminal), with a socket timeout."""
    before = socket.getdefaulttimeout()
    remarks = sys.stderr if sys.stderr.isatty() else StringIO()
    try:
        socket.setdefaulttimeout(_PATIENCE_SECONDS)
        with redirect_stdout(remarks), redirect_stderr(remarks):
            yield
    finally:
        socket.setdefaulttimeout(before)
