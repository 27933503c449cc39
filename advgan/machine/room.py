"""How many images go through a network at once, where memory may not hold as many as were wanted."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from advgan.machine.out_of_memory import is_out_of_memory

T = TypeVar("T")
log = logging.getLogger("advgan")

LARGEST_BATCH = 1024
"""Where an automatic batch size begins."""


@dataclass
class Room:
    """How many images go through the network at once. An automatic one halves when memory runs out, and stays so."""

    size: int = 256
    automatic: bool = False

    @classmethod
    def of(cls, batch_size: "int | Literal['auto'] | Room") -> "Room":
        """A number as it is; `auto` begins large."""
        if isinstance(batch_size, Room):
            return batch_size
        return cls(LARGEST_BATCH, automatic=True) if batch_size == "auto" else cls(int(batch_size))

    def within(self, call: Callable[[int], T], *, most: int = LARGEST_BATCH) -> T:
        """Give a call the size; where memory runs out, call it again with half, down to one image.

        Where there are `most` images, a half that holds them all is no smaller, and is not tried.
        """
        while True:
            try:
                return call(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self.automatic:
                    raise ValueError(
                        f"memory ran out with --batch-size {self.size}: give a smaller one, or --batch-size auto"
                    ) from error
                if self.size == 1 or most <= 1:
                    raise ValueError("memory ran out with one image at once: it takes a larger device") from error
            self.size //= 2
            while self.size >= most:
                self.size //= 2
            log.info("memory ran out: going on with %d images at once", self.size)
            _emptied()


def _emptied() -> None:
    """Give back what the failed call left: its error held the frames, and so the tensors, until now."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
