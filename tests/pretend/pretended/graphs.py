"""CUDA graphs: a recording of operators, which a replay does again at the same addresses with fresh random numbers."""

import gc
from types import TracebackType
from typing import Any

import torch

from pretended.compiling import native
from pretended.streams import Stream, refuse_in_a_capture


class CUDAGraph:
    """Stands for torch.cuda.CUDAGraph."""

    def __init__(self, keep_graph: bool = False) -> None:
        self.recording = native().Graph()

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global", **_: Any) -> None:
        if native().stream() == 0:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream. (pretended)")
        self.recording.begin()

    def capture_end(self) -> None:
        self.recording.end()

    def replay(self) -> None:
        refuse_in_a_capture("replay")
        self.recording.replay()

    def reset(self) -> None:
        self.recording = native().Graph()

    def pool(self) -> tuple[int, int]:
        return (0, id(self))


class Capture:
    """Stands for torch.cuda.graph."""

    def __init__(self, cuda_graph: CUDAGraph, pool: Any = None, stream: Stream | None = None, **_: Any) -> None:
        self.stream = stream or Stream()
        self.cuda_graph = cuda_graph

    def __enter__(self) -> None:
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.empty_cache()
        self.stream.__enter__()
        self.cuda_graph.capture_begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.cuda_graph.capture_end()
        finally:
            self.stream.__exit__(None, None, None)
