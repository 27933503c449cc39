"""The processes that `torchrun` started for one job (or a single one), and the communication between them.

Each takes the GPU of its local rank, or all compute on the CPU and share its cores.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")


class WrongStartError(ValueError):
    """The processes were started in a way that cannot work; exit code 2, wrong usage."""

    exit_code = 2


@dataclass(frozen=True)
class Processes:
    """This process among `count`; without torchrun it is the first and only one."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    here: int = 1
    """How many of them are on this machine."""

    @property
    def is_first(self) -> bool:
        """The one that prints, writes results and answers for all."""
        return self.rank == 0

    def share(self, items: list[T]) -> list[T]:
        """Every `count`-th item, beginning with this process's number: a function of the rank alone."""
        return items[self.rank :: self.count]

    def from_first(self, value: T) -> T:
        """Broadcast the first process's value to all."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value: T) -> list[T]:
        """Gather the values of all processes, by rank, in the first process; an empty list in the others."""
        if self.count == 1:
            return [value]
        box: list[Any] | None = [None] * self.count if self.is_first else None
        distributed.gather_object(value, box, dst=0)
        return box or []

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors in place by their means over the processes, in one all-reduce."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def wait(self) -> None:
        """Wait until all processes have called this (a barrier)."""
        if self.count > 1:
            distributed.barrier()

    def device(self, name: str) -> str:
        """Turn `auto` or `cuda` into this process's own GPU, where there are several processes."""
        return f"cuda:{self.local_rank}" if self.count > 1 and _on_gpus(name) else name


@contextmanager
def joined(device: str = "cpu") -> Iterator[Processes]:
    """Join the process group that torchrun describes in the environment, for the duration of the block.

    `device` is what the user asked for. Each process selects its GPU here, before anything is allocated, which would
    else be on the first GPU. Where there are more processes than GPUs, the first process of the machine raises
    WrongStartError and the others exit silently.

    When a process dies torchrun restarts all, but with `--standalone` the rendezvous store still holds the addresses of
    the dead ones, for which torch would wait half an hour; so each start uses its own key prefix.
    """
    count = _number("WORLD_SIZE", 1)
    if count == 1:
        yield Processes()
        return
    _check_variables(count)
    local_rank, here = _number("LOCAL_RANK", 0), _number("LOCAL_WORLD_SIZE", count)
    _check(device, here, speaks=local_rank == 0)
    own = _take_gpu(local_rank) if _on_gpus(device) else None
    store, rank, _ = next(rendezvous("env://"))
    store = PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if own else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count, device_id=own)
    try:
        yield Processes(distributed.get_rank(), count, local_rank, here)
    finally:
        distributed.destroy_process_group()


def _number(variable: str, default: int) -> int:
    """A number that torchrun sets."""
    said = os.environ.get(variable, "")
    if said and not re.fullmatch("[0-9]{1,6}", said):
        raise WrongStartError(f"{variable} is {said!r}, no number of processes: {_WITHOUT_TORCHRUN}")
    return int(said or default)


def _check_variables(count: int) -> None:
    """Refuse variables of which some are missing: torch would stop with a trace, or wait for processes for ever."""
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise WrongStartError(f"WORLD_SIZE is {count}, but {', '.join(missing)} is not set: {_WITHOUT_TORCHRUN}")
    rank = _number("RANK", 0)
    if not 0 <= rank < count:
        raise WrongStartError(f"RANK is {rank}, but WORLD_SIZE is {count}: {_WITHOUT_TORCHRUN}")


_WITHOUT_TORCHRUN = "start several processes by torchrun, which sets all of them, or unset WORLD_SIZE for a single one"


def _on_gpus(device: str) -> bool:
    return device in ("auto", "cuda") and torch.cuda.is_available()


def _take_gpu(number: int) -> torch.device:
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _check(device: str, here: int, *, speaks: bool) -> None:
    """Refuse two processes on one GPU, which NCCL does not support."""
    trouble = _trouble(device, here)
    if trouble and not speaks:
        raise SystemExit(WrongStartError.exit_code)
    if trouble:
        raise WrongStartError(trouble)


def _trouble(device: str, here: int) -> str | None:
    if device.startswith("cuda:") and here > 1:
        return (
            f"--device {device}: {here} processes need a GPU each; use --device cuda, and choose the GPUs with "
            "CUDA_VISIBLE_DEVICES"
        )
    if _on_gpus(device) and here > (found := torch.cuda.device_count()):
        return (
            f"torchrun started {here} processes on this machine, which has {found} GPU(s), and each needs its own: use "
            f"--nproc-per-node {found}, or --device cpu"
        )
    return None
