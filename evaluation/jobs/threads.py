"""The number of CPU threads of a job: measured once for each kind of work on a machine, and then kept.

Last bits depend on it, since threads add up parts of a sum: in gradients of weights nearly always. So it must not
follow the load of the moment, and the measure does not; what is close to a tie could still fall either way, so the
first answer of a machine is kept for the same work, whatever its seed. A run that is resumed takes the number that it
began with, and none changes it on the way: what made busy machines slow is that threads held the cores while they
waited for each other, and they sleep now (`OMP_WAIT_POLICY`, set by the command line).
"""

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advgan.machine.processes import Processes
from advgan.machine.threads import (
    asked_threads,
    candidates,
    computing_with,
    fastest,
    given_threads,
    measure,
    most_threads,
)
from advgan.storage.cache import cache_dir, say_unkept
from advgan.storage.documents import read_document, write_document
from advgan.storage.runs import Run
from evaluation.jobs.setup import log

Pass = Callable[[], object]


@contextmanager
def threads_for(
    prepare: Callable[[], Pass],
    *,
    about: Mapping[str, Any],
    device: torch.device | str = "cpu",
    resumed: Run | None = None,
    processes: Processes | None = None,
) -> Iterator[None]:
    """Compute inside the block with the number of threads that suits a pass, the same in all processes.

    `prepare` gives a pass like those that follow, on copies of what it changes; it is called only where there is
    something to measure, and torch's random state is put back after. `about` (plain data) says what the passes are: of
    the same work the first measurement counts. A user's own number, `OMP_NUM_THREADS`, comes before any measurement.
    """
    processes = processes or Processes()
    number = _chosen(prepare, about, torch.device(device), resumed, processes.here) if processes.is_first else 0
    with computing_with(processes.from_first(number)):
        yield


def structure(network: nn.Module) -> str:
    """A digest of a network's layers and the shapes of its weights, which say what a pass costs."""
    layers = [repr(module) for module in network.modules() if not list(module.children())]
    shapes = [tuple(weights.shape) for weights in network.parameters()]
    return sha256(json.dumps([layers, shapes]).encode()).hexdigest()[:16]


def _chosen(
    prepare: Callable[[], Pass], about: Mapping[str, Any], device: torch.device, resumed: Run | None, here: int
) -> int:
    """The number, said with -v where it was ours to choose."""
    if resumed and resumed.threads:
        log.debug("threads: %d, as %s began", resumed.threads, resumed.folder)
        return resumed.threads
    if asked_threads():
        log.debug("threads: %d (OMP_NUM_THREADS)", given_threads())
        return given_threads()
    most = most_threads(here)
    if most == 1 or device.type != "cpu":
        return most
    file = _file({**about, "most": most, **_machine()})
    if (known := _kept(file, most)) is not None:
        log.debug("threads: %d of %d, as measured before for this work (%s)", known, most, file)
        return known
    return _measured(prepare, most, file)


def _measured(prepare: Callable[[], Pass], most: int, file: Path) -> int:
    try:
        with torch.random.fork_rng(devices=[]), computing_with(most):
            seconds = measure(prepare(), candidates(most))
    except Exception as error:  # the work itself comes next, and says what is wrong in its own words
        log.debug("threads: %d, all there are, since a pass could not be tried (%s)", most, error)
        return most
    number = fastest(seconds)
    times = ", ".join(f"{each}: {1000 * taken:.3g} ms" for each, taken in seconds.items())
    log.debug("threads: %d of %d, by the time of a pass (%s), from now on for this work", number, most, times)
    if _kept(file, most) is None:  # unless another process was first
        _keep(file, number, seconds)
    return _kept(file, most) or number


def _machine() -> dict[str, str]:
    return {"processor": _processor(), "torch": torch.__version__, "vectors": torch.backends.cpu.get_cpu_capability()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _file(key: Mapping[str, Any]) -> Path:
    name = sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return cache_dir() / "threads" / f"{name}.json"


def _kept(file: Path, most: int) -> int | None:
    try:
        number = read_document(file)["threads"]
    except (ValueError, KeyError):
        return None
    return number if number in range(1, most + 1) else None


def _keep(file: Path, number: int, seconds: Mapping[int, float]) -> None:
    """Write it down; without a word to the user where that cannot be."""
    try:
        write_document(file, {"threads": number, "seconds": dict(seconds)})
    except OSError as error:
        say_unkept("numbers of threads", file, error)
