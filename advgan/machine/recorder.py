"""What records work on a device, so that it can be replayed without its launches."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
PRACTICE = 3
"""Passes of each kind that run as they are written before one is recorded, so that libraries choose their kernels."""


class Recorder(Protocol):
    """What records work on a device."""

    def aside(self, work: Callable[[], T]) -> T:
        """Do the work once, unrecorded, where recorded work runs."""
        ...

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Record the work without doing it: what it returns, and a function that does it, into the same tensors.

        Raises RuntimeError, with all tensors as they were, where the work cannot be recorded.
        """
        ...
