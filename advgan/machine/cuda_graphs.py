"""CUDA graphs of passes forward and backward.

Recording is done on a stream of its own, as is the practice before it: a parameter's gradient is gathered on the stream
where its first graph was made. All recordings of a training share one pool of memory, so they must be replayed in an
order in which none overwrites what another still needs: a generator's pass directly after the discriminator's pass that
made its images.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

T = TypeVar("T")


class CudaGraphs:
    """Records work on one CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        with torch.cuda.device(device):
            self.pool = torch.cuda.graph_pool_handle()

    def aside(self, work: Callable[[], T]) -> T:
        """Do the work once on the stream of the recordings, after and before what runs on the current one."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Record the work without doing it: what it returns, and a function that does it, into the same tensors.

        They hold nothing before that function is called. Raises RuntimeError where the work cannot be recorded, as
        where it waits for the device; all is then as it was, but for gradients that it had made.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local: the thread that reads batches ahead may use the device meanwhile. The stream stands twice
            # because torch.cuda.graph does not put the current one back where a capture ends in an error.
            with (
                torch.cuda.device(self.device),
                torch.cuda.stream(torch.cuda.current_stream(self.device)),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
            ):
                result = work()
        except RuntimeError:
            self._end(graph)
            raise
        return result, graph.replay

    def _end(self, graph: torch.cuda.CUDAGraph) -> None:
        """End a capture that failed: random numbers and memory come from where they did before.

        torch's own end leaves at its first error and would go on to give the memory of recordings to everybody.
        """
        graph.reset()
        with suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(self.device.index or 0, self.pool)
            torch._C._cuda_releasePool(self.device.index or 0, self.pool)
