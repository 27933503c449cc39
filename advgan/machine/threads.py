"""The number of CPU threads: what this process may use, and which number is fastest for the work at hand."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from pathlib import Path

import torch

STEPS = (1, 2, 4, 8, 16)
"""Numbers of threads that are tried, below the largest available."""
ROUNDS = 7
SECONDS = 0.3
"""No round of measuring begins after so many seconds."""
MARGIN = 1.2
"""More threads must be faster by this factor: waking them is not measured, and they take cores from other jobs."""
MOST_READERS = 16


_outside: ContextVar[int | None] = ContextVar("threads outside of all blocks", default=None)


def given_threads() -> int:
    """The number of threads outside of all blocks of `computing_with`: torch's default, or the caller's setting."""
    return _outside.get() or torch.get_num_threads()


def most_threads(processes_here: int = 1) -> int:
    """The number that this process may use beside others of its job: what is given, and its share of the cores."""
    return max(1, min(given_threads(), usable_cores() // processes_here))


def usable_cores(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use, by its CPU affinity and by the CPU quota of its control group (cgroup v2)."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mask, int(_quota(groups))))


def reading_threads(asked: int | None = None) -> int:
    """Number of threads that read images: `asked`, else one per core, divided among the processes of torchrun."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return asked if asked is not None else max(1, min(MOST_READERS, usable_cores() // here))


def candidates(most: int) -> tuple[int, ...]:
    """Numbers worth trying, from one thread to the most that there are."""
    return tuple(sorted({*(number for number in STEPS if number < most), most}))


def measure(
    work: Callable[[], object],
    numbers: Sequence[int],
    *,
    use: Callable[[int], None] = torch.set_num_threads,
    clock: Callable[[], float] = time.thread_time,
) -> dict[int, float]:
    """Measure the smallest CPU time of this thread, in seconds, for the work with each number of threads.

    CPU time of the calling thread, not wall time: with several threads it is this thread's share of the work and the
    overhead of sharing, without the time in which other jobs held the core. So a busy machine gives the same answer as
    an idle one. One warm-up run is not counted; the numbers take turns, and one three times as slow as the fastest
    after two runs is dropped.
    """
    least = dict.fromkeys(numbers, inf)
    use(numbers[0])
    work()
    began = clock()
    for turn in range(ROUNDS):
        for number in [number for number in numbers if turn < 2 or least[number] < 3 * min(least.values())]:
            use(number)
            start = clock()
            work()
            least[number] = min(least[number], clock() - start)
        if clock() - began > SECONDS:
            break
    return least


def fastest(seconds: dict[int, float]) -> int:
    """The smallest number of threads within MARGIN of the fastest."""
    best = min(seconds.values())
    return min(number for number, taken in seconds.items() if taken <= MARGIN * best)


@contextmanager
def computing_with(number: int) -> Iterator[None]:
    """Compute with so many threads inside the block."""
    before = torch.get_num_threads()
    token = _outside.set(given_threads())
    try:
        torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)
        _outside.reset(token)


def asked_threads() -> int | None:
    """What `OMP_NUM_THREADS` says, which torchrun sets to 1 where it is not set; None where it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _quota(groups: Path) -> float:
    """Cores by the tightest `cpu.max` from the process's control group up to the root of those it sees."""
    try:
        own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "0::/"
    folder = groups / own.removeprefix("0::").strip("/")
    found = [_cores(each / "cpu.max") for each in (folder, *folder.parents) if each.is_relative_to(groups)]
    return min(found, default=inf) if min(found, default=inf) < 1 << 20 else 1 << 20


def _cores(file: Path) -> float:
    try:
        quota, period = file.read_text().split()
        return float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return inf
