"""CUDA graphs of passes forward and backward.

Recording is done on a stream of its own, as is the practice before it: a parameter's gradient is gathered on the stream
where its first graph was made. All recordings of a training share one pool of memory, so they must be replayed in an
order in which none overwrites what another still needs: a generator's pass directly after the discriminator's pass that
made its images.
"""

from collections.abc import Callable
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
        """Record the work, and run the recording once: what it returns, and a function that runs it again.

        Raises ValueError where the work waits for the device, which no recording can.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local: the thread that reads batches ahead may use the device meanwhile.
            with (
                torch.cuda.device(self.device),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
            ):
                result = work()
        except RuntimeError as error:
            raise ValueError(
                f"training.cuda_graphs true: this recipe cannot be recorded ({str(error).splitlines()[0]}); "
                "set it to false"
            ) from error
        graph.replay()
        return result, graph.replay
