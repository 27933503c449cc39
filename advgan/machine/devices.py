"""Which device to compute on."""

import torch

from advgan.machine.kernels import fix_workspace


def pick_device(name: str = "auto") -> torch.device:
    """Resolve `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, `xpu`; `auto` takes the accelerator where there is one.

    For a CUDA device cuBLAS is set up for reproducible results (`advgan.machine.kernels.fix_workspace`). Raises
    ValueError where the name is unknown or the device is not on this machine.
    """
    device = _named(name)
    if device.type == "cuda":
        fix_workspace()
    return device


def _named(name: str) -> torch.device:
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device {name}: unknown; use auto, cpu, cuda, cuda:1 or mps") from None
    if device.type == "cpu":
        return device
    count = torch.accelerator.device_count() if accelerator is not None and accelerator.type == device.type else 0
    if (device.index or 0) >= count:
        found = f"{count} {device.type} device(s)" if count else (accelerator.type if accelerator else "only the CPU")
        raise ValueError(f"--device {name}: not on this machine (found {found}); use --device auto or cpu")
    return device


def memory_format(device: torch.device | str) -> torch.memory_format:
    """The memory format in which convolutions train fastest: channels last on an accelerator.

    Not on the CPU: there oneDNN's backward pass of channels-last convolutions with few channels (4, in torch 2.14 on an
    AMD EPYC) writes past the end of its buffers, and the process dies.
    """
    return torch.contiguous_format if torch.device(device).type == "cpu" else torch.channels_last


def describe_devices() -> dict[str, object]:
    """Describe the devices of this machine, for `advgan env`."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    described: dict[str, object] = {"auto": str(pick_device()), "threads": torch.get_num_threads()}
    if accelerator is not None:
        described["count"] = torch.accelerator.device_count()
    if accelerator is not None and accelerator.type == "cuda":
        described["names"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return described
