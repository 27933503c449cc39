"""The number of images in one pass through a network, reduced automatically when memory runs out."""

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


class NoRoomError(ValueError):
    """Memory ran out and the batch cannot be made smaller; exit code 1, nothing was wrong with the command."""

    exit_code = 1


@dataclass
class Room:
    """The number of images in one pass. If `automatic`, it halves when memory runs out, for the rest of the run."""

    size: int = 256
    automatic: bool = False

    @classmethod
    def of(cls, batch_size: "int | Literal['auto'] | Room") -> "Room":
        """Make one from `--batch-size`: a fixed number, or `auto`, which starts at LARGEST_BATCH."""
        if isinstance(batch_size, Room):
            return batch_size
        return cls(LARGEST_BATCH, automatic=True) if batch_size == "auto" else cls(int(batch_size))

    def within(self, call: Callable[[int], T], *, most: int = LARGEST_BATCH) -> T:
        """Call with the size; where memory runs out, call again with half of it, down to one image.

        Sizes of `most` (the number of images) and more are the same pass, so halving goes on until below it. Raises
        ValueError where the size is fixed or one image is too many.
        """
        while True:
            try:
                return call(self.size)
            except (RuntimeError, MemoryError, ImportError, OSError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self.automatic:
                    raise NoRoomError(
                        f"memory ran out with --batch-size {self.size}: give a smaller one, or --batch-size auto"
                    ) from error
                if self.size == 1 or most <= 1:
                    raise NoRoomError("memory ran out with one image at once: it takes a larger device") from error
            self.size //= 2
            while self.size >= most:
                self.size //= 2
            log.info("memory ran out: going on with %d images at once", self.size)
            _emptied()


def _emptied() -> None:
    """Free the memory of the failed call: the exception held its frames, and so its tensors, until now."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
