"""Recognise out-of-memory errors of torch and its libraries."""

import torch

_TEXTS = (
    "out of memory",  # CUDA, MPS, XPU, the driver's "CUDA error: out of memory"
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "can't allocate memory",  # the CPU's allocator
    "not enough memory",  # the same on Windows
    "could not create a memory object",  # oneDNN
    "could not create a primitive",
    "could not execute a primitive",
    "std::bad_alloc",
    "Cannot allocate memory",  # the system
    "can't start new thread",  # whose stack has no room
    "failed to map segment from shared object",  # a library that is loaded late
)
_AMBIGUOUS = ("CUDNN_STATUS_NOT_SUPPORTED", "Unable to find an engine to execute this computation", "GET was unable to")
"""Messages of cuDNN both where no algorithm fits into the free memory and where it supports none at all: a smaller
batch helps in the first case and costs a few attempts in the second."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on any device, so that a smaller batch may work."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, (RuntimeError, ImportError, OSError)) and any(
        text in str(error) for text in (*_TEXTS, *_AMBIGUOUS)
    )
