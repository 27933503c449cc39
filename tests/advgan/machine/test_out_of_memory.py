import pytest
import torch

from advgan.machine.out_of_memory import is_out_of_memory
from advgan.machine.room import Room
from evaluation.jobs.console.endings import ending

SAID = {
    "CUDA's allocator": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total"),
    "CUDA": RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "cuDNN's handle": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cuDNN's workspace": RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if"),
    "cuDNN's choice": RuntimeError(
        "FIND was unable to find an engine to execute this computation".replace("FIND", "GET")
    ),
    "cuSOLVER": RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    "cuFFT": RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB, other allocations: 1.05 GB, max allowed"),
    "oneDNN": RuntimeError("could not create a primitive"),
    "oneDNN's memory": RuntimeError("could not create a memory object"),
    "the CPU": RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    "the CPU on Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 80000000 bytes."),
    "oneDNN's execution": RuntimeError("could not execute a primitive"),
    "the system": OSError(12, "Cannot allocate memory"),
    "threads": RuntimeError("can't start new thread"),
    "a library": ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    "C++": RuntimeError("std::bad_alloc"),
    "Python": MemoryError(),
    "NumPy": MemoryError("Unable to allocate 745. GiB for an array with shape (100000, 1000000) and data type float64"),
}
OTHERS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
    ValueError("out of memory"),
    KeyboardInterrupt("out of memory"),
]


@pytest.mark.parametrize("who", SAID)
def test_memory_that_ran_out_is_known_whoever_says_it(who: str) -> None:
    assert is_out_of_memory(SAID[who])


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_what_the_cpu_says_here_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_command_that_lacks_memory_ends_in_one_line_that_says_what_to_lower() -> None:
    for error in (RuntimeError("could not create a primitive"), MemoryError(), OSError(12, "Cannot allocate memory")):
        code, text = ending(error)
        assert code == 1
        assert "memory ran out (" in text
        assert "--batch-size auto" in text


@pytest.mark.parametrize("error", [RuntimeError("could not execute a primitive"), MemoryError()], ids=str)
def test_a_batch_is_halved_or_the_way_out_said(error: Exception) -> None:
    def call(size: int) -> int:
        if size > 3:
            raise error
        return size

    assert Room(64, automatic=True).within(call) == 2
    with pytest.raises(ValueError, match="--batch-size 64: give a smaller one, or --batch-size auto") as raised:
        Room(64).within(call)
    assert ending(raised.value)[0] == 1
