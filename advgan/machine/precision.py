"""True float32 on an accelerator, whose convolutions torch lets round float32 to TensorFloat-32 as it comes.

Ten bits of ten thousand products are enough to train with, and not to measure with: a path length doubled, a sound
network looked like a staircase. So training computes as torch is set, and whatever is published in true float32.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

MEASURED = "true float32"
_EXACT = "ieee"


@contextmanager
def true_float32() -> Iterator[None]:
    """Compute products and convolutions of float32 in float32 inside the block; then put torch's settings back.

    The settings are those of the process. Torch has them twice, and raises where they contradict each other: so both
    are set, the older ones where they can still be read. Blocks may be nested, and functions decorated.
    """
    if is_true_float32():
        yield
        return
    before, older = [one.fp32_precision for one in _operators()], _older()
    _set(older and (False, False, "highest"), [_EXACT] * len(before))
    try:
        yield
    finally:
        _set(older, before)


def is_true_float32() -> bool:
    """Whether torch is set so."""
    found = {one.fp32_precision for one in _operators()}
    return found == {_EXACT} and _products() in ("highest", None)


def float32_settings() -> dict[str, str]:
    """What torch makes of float32 in products and in convolutions, as it is set, and what measurements do."""
    products, convolutions, *_ = (one.fp32_precision for one in _operators())
    return {"products": _named(products), "convolutions": _named(convolutions), "measurements": "float32"}


def precision_note(device: torch.device | str) -> str:
    """What the protocol of a number says that was computed there; nothing on the CPU, which has one float32."""
    kind = torch.device(device).type
    return "" if kind == "cpu" else f"; {MEASURED} on {kind}"


def _operators() -> tuple[Any, Any, Any, Any]:
    backends: Any = torch.backends
    return backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul


def _products() -> str | None:
    """Torch's setting for all devices; None where newer settings contradict it, and it cannot be read."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _older() -> tuple[bool, bool, str] | None:
    """Products, convolutions, products on all devices; None where the newer settings contradict one."""
    cuda: Any = torch.backends.cuda
    try:
        return cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set(older: tuple[bool, bool, str] | None, newer: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*new API settings to control TF32.*")
        if older is not None:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = older[:2]
            torch.set_float32_matmul_precision(older[2])
    for operator, value in zip(_operators(), newer, strict=True):
        operator.fp32_precision = value


def _named(setting: str) -> str:
    return "float32" if setting in (_EXACT, "none") else setting
