"""The processes that `torchrun` started for one job, or the only one; what they tell each other."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among `count`; without torchrun it is the first and only one."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """The one that prints, writes results and answers for all."""
        return self.rank == 0

    def share(self, items: list[T]) -> list[T]:
        """Every `count`-th item, beginning with this process's number: a function of the rank alone."""
        return items[self.rank :: self.count]

    def from_first(self, value: T) -> T:
        """The first process's value, in all."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value: T) -> list[T]:
        """Everybody's values by rank, in the first process; in the others nothing."""
        if self.count == 1:
            return [value]
        box: list[Any] | None = [None] * self.count if self.is_first else None
        distributed.gather_object(value, box, dst=0)
        return box or []

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors in place by their means over the processes, in one exchange."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def device(self, name: str) -> str:
        """Each process its own GPU where the choice is left open."""
        if self.count > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local_rank % torch.cuda.device_count()}"
        return name


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started, by its environment, for as long as the block lasts.

    After a process died torchrun starts all of them again, but with `--standalone` the store in which they find each
    other still holds the addresses of the dead, for which torch waits half an hour; so each start has its own keys.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    store, rank, _ = next(rendezvous("env://"))
    store = PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield Processes(distributed.get_rank(), count, int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        distributed.destroy_process_group()
