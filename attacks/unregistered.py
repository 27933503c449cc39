"""Modules that a network keeps where PyTorch does not look: in plain lists, tuples and dictionaries."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_REGISTERED = ("_parameters", "_buffers", "_modules")


def unregistered_modules(network: nn.Module) -> list[nn.Module]:
    """List the modules that `network.modules()` misses, and so do `eval()`, `to()` and `parameters()`; each once."""
    known = {id(module) for module in network.modules()}
    found: dict[int, nn.Module] = {}
    waiting = list(network.modules())
    while waiting:
        attributes = vars(waiting.pop()).items()
        for module in _contained([value for name, value in attributes if name not in _REGISTERED]):
            for inner in module.modules():
                if id(inner) not in known | found.keys():
                    found[id(inner)] = inner
                    waiting.append(inner)
    return list(found.values())


@contextmanager
def buffers_kept(modules: list[nn.Module]) -> Iterator[None]:
    """Restore the buffers of modules after the block: in training mode every pass updates batch norm's statistics.

    Their mode is not changed: the logits must be those that the network gives as it stands.
    """
    before: list[tuple[Tensor, Tensor]] = [
        (buffer, buffer.clone()) for module in modules for buffer in module.buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


def _contained(value: object, depth: int = 3) -> Iterator[nn.Module]:
    """The modules in nested lists, tuples and dictionaries, down to a few levels."""
    if depth == 0 or not isinstance(value, (list, tuple, dict)):
        return
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, nn.Module):
            yield item
        else:
            yield from _contained(item, depth - 1)
