"""The interface of recorders: they capture work on a device once, to replay it without launching each kernel."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
PRACTICE = 3
"""Warm-up passes of each kind before one is recorded, in which libraries choose their kernels."""


class Recorder(Protocol):
    """Captures work on a device and replays it (CUDA graphs, or a tape in the tests)."""

    def aside(self, work: Callable[[], T]) -> T:
        """Run the work once, without recording it, on the stream of recorded work."""
        ...

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Record the work without running it; return its result tensors and a function that replays into them.

        Raises RuntimeError, with all tensors as they were, where the work cannot be recorded.
        """
        ...
