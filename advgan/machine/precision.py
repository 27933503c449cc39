"""True float32 on an accelerator, where torch by default lets convolutions round to TensorFloat-32.

TF32's ten bits of mantissa are enough for training but not for measuring: a path length doubled, and the surface of a
smooth network looked like steps. So training uses torch's settings, and published numbers are computed in float32.
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

    The settings are those of the whole process. Torch has an older and a newer interface to them, and raises where they
    contradict each other: so both are set, the older where it can still be read. Blocks may be nested.
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
    """Whether torch computes float32 products and convolutions in true float32."""
    found = {one.fp32_precision for one in _operators()}
    return found == {_EXACT} and _products() in ("highest", None)


def float32_settings() -> dict[str, str]:
    """Torch's current float32 precision of products and convolutions, and that of measurements, for `env.json`."""
    products, convolutions, *_ = (one.fp32_precision for one in _operators())
    return {"products": _named(products), "convolutions": _named(convolutions), "measurements": "float32"}


def precision_note(device: torch.device | str) -> str:
    """The precision note for the protocol of a score computed on a device; empty on the CPU, which has no TF32."""
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
    """The older interface's (matmul TF32, cuDNN TF32, matmul precision); None where newer settings contradict it."""
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
