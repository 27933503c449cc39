"""What happens on the device while it is watched: waits and unordered sums with their places, operators by name."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pretended.compiling import native

WAITS = ("download", "upload", "shape", "check", "synchronize", "upload, pageable but non_blocking")
"""Kinds for which the host waits; a pageable copy that is called non_blocking waits at least for its staging."""
NOT_KERNELS = ("resize_",)
ROOT = Path(__file__).parents[3]
_PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("attacks", "advgan", "evaluation", "benchmarks", "tests"))
_OURSELVES = f"{Path(__file__).parent}{os.sep}"

T = TypeVar("T", bound=tuple[str, ...])


@dataclass
class Seen:
    """What was seen. Sites are `file:line function` of the project's innermost frame, or autograd's node."""

    waits: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (kind, operator, site)."""
    moved: Counter[str] = field(default_factory=Counter)
    """Bytes by kind of copy."""
    free_copies: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Copies for which nothing waits, by (kind, operator, site)."""
    mixes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Numbers of the CPU among tensors of the device, by (operator, site)."""
    unordered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Sums in an order that changes from run to run, by (operator, site)."""
    sites: Counter[tuple[str, str]] = field(default_factory=Counter)
    """With `trace`: operators by (operator, site)."""
    operators: Counter[str] = field(default_factory=Counter)
    """Dispatched operators by name; filled when the watch ends."""
    replays: int = 0

    @property
    def num_waits(self) -> int:
        """How often the host waited for the device."""
        return sum(self.waits.values())

    @property
    def num_operators(self) -> int:
        """How many operators were dispatched: about as many kernels. Views are none."""
        return sum(count for name, count in self.operators.items() if name not in NOT_KERNELS)

    @property
    def places(self) -> Counter[str]:
        """Waits by `file:function`, which moves less often than lines do."""
        found: Counter[str] = Counter()
        for (_, _, site), count in self.waits.items():
            found[place_of(site)] += count
        return found

    def text(self, *, limit: int = 60) -> str:
        """All of it as lines, each list cut off at `limit`."""
        live, peak, _ = native().memory()
        lines = [
            f"operators {self.num_operators:,}, waits {self.num_waits:,}, graph replays {self.replays:,}",
            f"device memory: {live:,} bytes in use, {peak:,} at most; moved: {dict(self.moved)}",
        ]
        for title, found in (
            ("waits", _lines(self.waits)),
            ("copies that do not wait", _lines(self.free_copies)),
            ("numbers of the CPU among tensors of the device", _lines(self.mixes)),
            ("order differs from run to run on CUDA", _lines(self.unordered)),
            ("operators by site", _lines(self.sites)),
            ("operators", _lines(Counter({(name,): count for name, count in self.operators.items()}))),
        ):
            lines += [f"-- {title}", *found[:limit]] if found else []
        return "\n".join(lines)


def _lines(found: Counter[T]) -> list[str]:
    return [f"{count:>8,}  {'  '.join(key)}" for key, count in found.most_common()]


_seen = Seen()
_tracing = False
_lock = threading.Lock()


@contextmanager
def watching(*, trace: bool = False) -> Iterator[Seen]:
    """Collect what happens on the device in the block, apart from the rest; `trace` gives operators their sites."""
    global _seen, _tracing
    library = native()
    outer, was_tracing = _seen, _tracing
    outer.operators.update(library.take_counts())
    _seen, _tracing, replays = Seen(), trace, library.replays()
    library.set_tracing(trace)
    inner = _seen
    try:
        yield inner
    finally:
        inner.operators.update(library.take_counts())
        inner.replays = library.replays() - replays
        _seen, _tracing = outer, was_tracing
        library.set_tracing(was_tracing)


def observe(kind: str, what: str, node: str, num_bytes: int) -> None:
    """Note one thing that the device, or what stands for torch.cuda, did just now."""
    site = f"backward: {node}" if node else _site(sys._getframe(1))
    with _lock:
        if kind == "op":
            _seen.sites[what, site] += 1
        elif kind == "mix":
            _seen.mixes[what, site] += 1
        elif kind == "unordered":
            _seen.unordered[what, site] += 1
        elif kind in WAITS:
            _seen.waits[kind, what, site] += 1
        else:
            _seen.free_copies[kind, what, site] += 1
        if num_bytes:
            _seen.moved[kind] += num_bytes


def place_of(site: str) -> str:
    """A site without its line."""
    file, _, rest = site.partition(":")
    return f"{file}:{rest.partition(' ')[2]}" if rest.partition(" ")[0].isdigit() else site


def _site(frame: FrameType | None) -> str:
    """Where in the project this was called from: its innermost frame, else the innermost that is not torch's."""
    outside = None
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGES) and not name.startswith(_OURSELVES):
            return f"{os.path.relpath(name, ROOT)}:{frame.f_lineno} {frame.f_code.co_name}"
        if outside is None and "/torch/" not in name and not name.startswith(("<frozen", _OURSELVES)):
            outside = frame
        frame = frame.f_back
    if outside is None:
        return f"(thread {threading.current_thread().name})"
    return f"{outside.f_code.co_filename}:{outside.f_lineno} {outside.f_code.co_name}"
