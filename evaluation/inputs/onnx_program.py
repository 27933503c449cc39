"""An `.onnx` generator, run by ONNX Runtime."""

from pathlib import Path

import torch
from torch import Tensor

from advgan.models.classifiers.onnx_network import onnx_session
from evaluation.inputs.program import Input, Program

_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(int64)": torch.int64,
    "tensor(int32)": torch.int32,
}


def onnx_program(path: Path) -> Program:
    """Open an ONNX file. Raises ValueError in one line where it is damaged or takes other types than these."""
    session = onnx_session(path)
    given = session.inputs
    unknown = [each.type for each in given if each.type not in _TYPES]
    if unknown:
        raise ValueError(f"{path} takes {unknown[0]}: a generator takes latents, and labels, as tensors of numbers")
    names, types = [each.name for each in given], [_TYPES[each.type] for each in given]

    def run(*tensors: Tensor) -> Tensor:
        fed = {
            name: tensor.to("cpu", kind).contiguous().numpy()
            for name, kind, tensor in zip(names, types, tensors, strict=True)
        }
        return torch.from_numpy(session.run(fed)[0])

    inputs = tuple(
        Input(tuple(side if isinstance(side, int) else None for side in each.shape), not kind.is_floating_point)
        for each, kind in zip(given, types, strict=True)
    )
    return Program(inputs, run)
