"""CUDA graphs of forward and backward passes.

Warm-up and capture run on a side stream, because autograd accumulates a parameter's gradient on the stream on which its
graph was first built. All graphs of a training share one memory pool, so they must be replayed in an order in which
none overwrites what another still needs: a generator's pass directly after the discriminator's pass that made its
images.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

T = TypeVar("T")


class CudaGraphs:
    """Captures work on one CUDA device as graphs (a `Recorder`)."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        with torch.cuda.device(device):
            self.pool = torch.cuda.graph_pool_handle()

    def aside(self, work: Callable[[], T]) -> T:
        """Run the work once on the capture stream, ordered after earlier and before later work of the current one."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Capture the work without running it; return its result tensors and a function that replays into them.

        The tensors hold no values before the first replay. Raises RuntimeError where the work cannot be captured (it
        waits for the device, say); the device's state is then restored, but for gradients that the work allocated.
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
        """Clean up a failed capture, so that the random generator and the allocator work outside of it again.

        torch's own clean-up stops at its first error, and all later allocations would come from the graphs' pool.
        """
        graph.reset()
        with suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(self.device.index or 0, self.pool)
            torch._C._cuda_releasePool(self.device.index or 0, self.pool)
