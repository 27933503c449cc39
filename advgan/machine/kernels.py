"""The kernels that a CUDA device trains with: deterministic ones, or the fastest by cuDNN's benchmark."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import torch

P = ParamSpec("P")
T = TypeVar("T")
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""The environment variable that makes cuBLAS reproducible between processes; cuBLAS reads it once, at its first use."""


class _OnDevice(Protocol):
    @property
    def device(self) -> torch.device: ...


class _Recipe(Protocol):
    @property
    def deterministic(self) -> bool: ...


StateT = TypeVar("StateT", bound=_OnDevice)
DataT = TypeVar("DataT")
RecipeT = TypeVar("RecipeT", bound=_Recipe)


def fix_workspace() -> None:
    """Set cuBLAS's workspace variable, unless the user did; no effect once this process has used cuBLAS."""
    os.environ.setdefault(*WORKSPACE)


@contextmanager
def kernels(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Choose the kernels of a CUDA device inside the block; no effect on other devices.

    With `deterministic` every sum has a fixed order, so that the same work gives the same bits in every process on the
    same kind of device with the same libraries; where torch has no such kernel, it warns. Backward passes then run in
    the calling thread: in autograd's own threads the order of sums in a double backward pass depends on the history of
    the process. Without, cuDNN benchmarks its kernels for each new shape and takes the fastest.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, memory = torch.backends.cudnn, cast(Any, torch.utils.deterministic)
    mode, filled = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory
    found = cudnn.deterministic, cudnn.benchmark
    if deterministic:
        fix_workspace()
        torch.set_deterministic_debug_mode("warn")
        memory.fill_uninitialized_memory = False
    cudnn.deterministic, cudnn.benchmark = deterministic, not deterministic
    try:
        with torch.autograd.set_multithreading_enabled(not deterministic):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = filled
        cudnn.deterministic, cudnn.benchmark = found


def with_kernels(
    loop: Callable[Concatenate[StateT, DataT, RecipeT, P], Iterator[T]],
) -> Callable[Concatenate[StateT, DataT, RecipeT, P], Iterator[T]]:
    """Decorate a training loop: each step runs with its recipe's kernels, and the caller's are restored in between."""

    @wraps(loop)
    def train(state: StateT, data: DataT, training: RecipeT, /, *args: P.args, **options: P.kwargs) -> Iterator[T]:
        steps = loop(state, data, training, *args, **options)
        while True:
            with kernels(state.device, deterministic=training.deterministic):
                step = next(steps, None)
            if step is None:
                return
            yield step

    return train
