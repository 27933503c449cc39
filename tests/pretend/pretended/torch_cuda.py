"""torch.cuda of a machine with one device: what of it asks the driver is replaced, for good."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from pretended.compiling import native
from pretended.graphs import Capture, CUDAGraph
from pretended.streams import Event, Stream, synchronize

NAME = "Pretended GPU"


class Properties:
    """Stands for what torch.cuda.get_device_properties returns: the shape of an H100."""

    name, major, minor, multi_processor_count = NAME, 9, 0, 132
    warp_size, max_threads_per_multi_processor, L2_cache_size = 32, 2048, 50 << 20
    shared_memory_per_block, shared_memory_per_block_optin, regs_per_multiprocessor = 48 << 10, 227 << 10, 65536
    gcnArchName = ""  # noqa: N815
    is_integrated, is_multi_gpu_board, uuid, pci_bus_id, pci_device_id, pci_domain_id = 0, 0, "pretended", 0, 0, 0

    def __init__(self) -> None:
        self.total_memory = native().memory()[2]


def replace_torch_cuda() -> None:
    """Put our functions in the place of those that ask the driver."""
    cuda: Any = torch.cuda
    generator = torch.Generator(device="cuda")
    for name, value in {**_device(), **_memory(), **_random(), **_streams()}.items():
        for module in (cuda, cuda.random, cuda.memory, cuda.graphs, cuda.streams):
            if module is cuda or hasattr(module, name):
                setattr(module, name, value)
    cuda._initialized = True
    cuda.default_generators = (generator,)
    backends: Any = torch.backends
    backends.cudnn.is_available = lambda: False  # composites ask this before they call a kernel of cuDNN's own
    _replace_bindings()
    _replace_untyped_storage()


def _exchange(device: int) -> int:
    if device > 0:
        raise RuntimeError("CUDA error: invalid device ordinal")
    return 0


def _index(device: Any) -> int:
    return device if isinstance(device, int) else torch.device(device).index or 0


def _synchronize(device: Any = None) -> None:
    synchronize("torch.cuda.synchronize")


def _device() -> dict[str, Any]:
    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "_is_compiled": lambda: True,
        "_lazy_init": lambda: None,
        "init": lambda: None,
        "_lazy_call": lambda call, **_: call(),
        "device_count": lambda: 1,
        "_device_count_nvml": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: _exchange(_index(device)),
        "_exchange_device": _exchange,
        "_maybe_exchange_device": _exchange,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": lambda device=None: Properties(),
        "get_arch_list": lambda: ["sm_90"],
        "is_bf16_supported": lambda including_emulation=True: True,
        "synchronize": _synchronize,
    }


def _free_and_total(device: Any = None) -> tuple[int, int]:
    live, _, limit = native().memory()
    return limit - live, limit


def _memory() -> dict[str, Any]:
    return {
        "empty_cache": lambda: None,
        "ipc_collect": lambda: None,
        "mem_get_info": _free_and_total,
        "memory_allocated": lambda device=None: native().memory()[0],
        "max_memory_allocated": lambda device=None: native().memory()[1],
        "memory_reserved": lambda device=None: native().memory()[0],
        "max_memory_reserved": lambda device=None: native().memory()[1],
        "reset_peak_memory_stats": lambda device=None: native().reset_peak(),
    }


def _default_generator() -> torch.Generator:
    return torch.cuda.default_generators[0]


def _seed(seed: int) -> None:
    _default_generator().manual_seed(int(seed))


def _random() -> dict[str, Callable[..., Any]]:
    return {
        "manual_seed": _seed,
        "manual_seed_all": _seed,
        "seed": lambda: _default_generator().seed(),
        "seed_all": lambda: _default_generator().seed(),
        "initial_seed": lambda: _default_generator().initial_seed(),
        "get_rng_state": lambda device=0: _default_generator().get_state(),
        "get_rng_state_all": lambda: [_default_generator().get_state()],
        "set_rng_state": lambda state, device=0: _default_generator().set_state(state),
        "set_rng_state_all": lambda states: _default_generator().set_state(states[0]),
    }


def _stream(stream: Stream | None) -> Any:
    return nullcontext() if stream is None else stream


def _streams() -> dict[str, Any]:
    return {
        "Stream": Stream,
        "Event": Event,
        "current_stream": lambda device=None: Stream(stream_id=native().stream()),
        "default_stream": lambda device=None: Stream(stream_id=0),
        "set_stream": lambda stream: native().set_stream(stream.stream_id),
        "stream": _stream,
        "StreamContext": _stream,
        "CUDAGraph": CUDAGraph,
        "graph": Capture,
        "graph_pool_handle": lambda: (0, 1),
        "is_current_stream_capturing": native().is_captured,
    }


def _replace_bindings() -> None:
    bindings: Any = torch._C
    bindings._cuda_getDeviceCount = lambda: 1
    bindings._cuda_getDevice = lambda: 0
    bindings._cuda_setDevice = bindings._cuda_exchangeDevice = bindings._cuda_maybeExchangeDevice = _exchange
    bindings._cuda_synchronize = _synchronize
    bindings._cuda_isCurrentStreamCapturing = native().is_captured


def _replace_untyped_storage() -> None:
    """A storage on the device takes its memory from a tensor: torch's own way asks the real allocator of the device."""
    storage: Any = torch.UntypedStorage
    plain = storage.__new__

    def new(cls: type, *args: Any, device: Any = None, **named: Any) -> Any:
        if device is None:
            return plain(cls, *args, **named)
        if torch.device(device).type != "cuda":
            return plain(cls, *args, device=device, **named)
        return torch.empty(args[0] if args else 0, dtype=torch.uint8, device="cuda").untyped_storage()

    storage.__new__ = staticmethod(new)
