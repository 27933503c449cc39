"""Give this process a pretended CUDA device: once, for good."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pretended.compiling import native
from pretended.torch_cuda import replace_torch_cuda
from pretended.watching import observe

MEMORY = 8 << 30
_installed = False


def install() -> None:
    """Install the device; a second call does nothing. Call it before anything asks torch about CUDA.

    From then on torch.cuda.is_available() is true, whatever the machine has, and a real GPU is out of reach.
    """
    global _installed
    if _installed:
        return
    _installed = True
    library = native()
    with _silent_stderr():
        library.install()
    library.set_limit(MEMORY)
    library.set_lenient(_without_device_check())
    library.set_observer(observe)
    atexit.register(library.set_observer, None)
    replace_torch_cuda()


def is_installed() -> bool:
    """Whether this process has the device."""
    return _installed


@contextmanager
def memory_limit(num_bytes: int) -> Iterator[None]:
    """Give the device so many bytes in the block: what is taken beyond raises torch.OutOfMemoryError."""
    library = native()
    before = library.memory()[2]
    library.set_limit(num_bytes)
    try:
        yield
    finally:
        library.set_limit(before)


@contextmanager
def tf32() -> Iterator[None]:
    """Make it a device with TensorFloat-32 in the block: where torch's settings allow it, operands get ten bits."""
    library = native()
    library.set_tf32(True)
    try:
        yield
    finally:
        library.set_tf32(False)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """torch warns of every kernel that is replaced, straight to the file descriptor."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _without_device_check() -> list[str]:
    """Operators for which torch generates no check of devices: its own list of them is part of it."""
    import torchgen

    text = Path(torchgen.__file__).with_name("packaged").joinpath("ATen/native/native_functions.yaml").read_text()
    names = []
    for block in text.split("\n- func: ")[1:]:
        if "device_check: NoCheck" in block:
            base, _, overload = block.split("(", 1)[0].strip().partition(".")
            names.append(f"aten::{base}.{overload}")
    return names
