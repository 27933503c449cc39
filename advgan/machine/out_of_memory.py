"""All the ways in which torch and its libraries say that memory ran out."""

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
)
_AMBIGUOUS = ("CUDNN_STATUS_NOT_SUPPORTED", "Unable to find an engine to execute this computation", "GET was unable to")
"""What cuDNN says where no algorithm fits into the memory that is left, and where it knows none at all: a smaller batch
helps the one and costs a few attempts of the other."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device, so that a smaller batch may do."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in (*_TEXTS, *_AMBIGUOUS))
