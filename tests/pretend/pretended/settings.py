"""Settings of torch for the whole process, put back after a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_PRECISIONS = [("generic", "all"), *(("cuda", op) for op in ("all", "conv", "rnn", "matmul"))]


@contextmanager
def kept_settings() -> Iterator[None]:
    """Put back number of threads, TensorFloat-32, and what chooses kernels."""
    bindings: Any = torch._C
    cudnn: Any = torch.backends.cudnn
    precisions = [(*key, bindings._get_fp32_precision_getter(*key)) for key in _PRECISIONS]
    threads, benchmark, deterministic = torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic
    algorithms, warn_only = torch.are_deterministic_algorithms_enabled(), _warns_only()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
        for backend, operator, value in precisions:
            bindings._set_fp32_precision_setter(backend, operator, value)


def _warns_only() -> bool:
    return torch.is_deterministic_algorithms_warn_only_enabled()
