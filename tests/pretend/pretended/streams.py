"""Streams and events: names only, as every operator ends before the next begins."""

from itertools import count
from types import TracebackType
from typing import Any

import torch

from pretended.compiling import native
from pretended.watching import observe

_numbers = count(1)


def refuse_in_a_capture(what: str) -> None:
    """Raise what CUDA raises where the host would wait for a stream that is being captured."""
    if native().is_captured():
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing (pretended: {what})")


def synchronize(what: str) -> None:
    """Wait for the device: note it."""
    refuse_in_a_capture(what)
    observe("synchronize", what, "", 0)


class Event:
    """Stands for torch.cuda.Event; reached as soon as it is recorded."""

    def __init__(self, enable_timing: bool = False, **_: Any) -> None: ...

    def record(self, stream: Any = None) -> None: ...

    def wait(self, stream: Any = None) -> None: ...

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: "Event") -> float:
        return 0.0

    def synchronize(self) -> None:
        synchronize("event.synchronize")


class Stream:
    """Stands for torch.cuda.Stream, and for the context of one."""

    def __init__(self, device: Any = None, priority: int = 0, stream_id: int | None = None, **_: Any) -> None:
        self.stream_id = next(_numbers) if stream_id is None else stream_id
        self.device, self.device_index, self.device_type = torch.device("cuda:0"), 0, 1
        self.cuda_stream, self.priority = self.stream_id, priority
        self.outer = 0

    def wait_stream(self, stream: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def query(self) -> bool:
        return True

    def record_event(self, event: Event | None = None) -> Event:
        return event or Event()

    def synchronize(self) -> None:
        synchronize("stream.synchronize")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.stream_id == self.stream_id

    def __hash__(self) -> int:
        return hash(self.stream_id)

    def __enter__(self) -> "Stream":
        self.outer = native().stream()
        native().set_stream(self.stream_id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        native().set_stream(self.outer)
