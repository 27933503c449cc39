"""The file formats of `advgan export`; each file is read back and its output compared with the network's."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from advgan.storage.atomic import streaming, write_atomically
from evaluation.jobs.export.fidelity_wrapper import FidelityGenerator, fidelity_command
from evaluation.jobs.export.networks import Exportable, ExportedGenerator
from evaluation.jobs.export.origins import without_remarks, without_sources, without_traces

Call = Callable[..., Tensor]
TOLERANCE = 1e-4
LEVELS = 1.0
"""Tolerance for uint8 images: one grey level, by rounding."""


def write_safetensors(found: Exportable, folder: Path) -> Path:
    """The weights alone, by the names of the module."""
    file = folder / "model.safetensors"
    tensors = {name: tensor.contiguous().clone() for name, tensor in found.module.state_dict().items()}
    write_atomically(file, save(tensors, metadata={"format": "pt"}))
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in load_file(file).items())
    return file


def write_program(found: Exportable, folder: Path) -> Path:
    """A torch.export program for any batch size."""
    file = folder / "model.pt2"
    with torch.no_grad():
        program = torch.export.export(found.module, found.example, dynamic_shapes=_batches(found), strict=False)
    without_traces(program)
    with streaming(file) as stream:
        torch.export.save(program, stream)
    _hold_against(found.module, found.example, torch.export.load(file).module(), file)
    return file


def write_onnx(found: Exportable, folder: Path) -> Path:
    """One ONNX file with its weights, for any batch size."""
    import onnxruntime

    file = folder / "model.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            found.module,
            found.example,
            input_names=found.inputs,
            output_names=[found.output],
            dynamic_shapes=_batches(found),
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "written by dynamo"
    write_atomically(file, without_remarks(program.model_proto).SerializeToString())
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def call(*inputs: Tensor) -> Tensor:
        named = {name: tensor.numpy() for name, tensor in zip(found.inputs, inputs, strict=True)}
        return torch.from_numpy(session.run(None, named)[0])

    _hold_against(found.module, found.example, call, file)
    return file


def write_fidelity(found: Exportable, folder: Path) -> Path:
    """A TorchScript generator for torch-fidelity; the command line to type goes into `found.about`."""
    wrapper = fidelity_generator(found)
    file = folder / "model.pth"
    example = (torch.linspace(-1.5, 1.5, 2 * wrapper.z_size).view(2, -1),)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and what torch-fidelity reads
        script = torch.jit.trace(wrapper, example, check_trace=False)
        write_atomically(file, without_sources(script.save_to_buffer()))
        loaded = torch.jit.load(str(file), map_location="cpu")
    _hold_against(wrapper, example, loaded, file, tolerance=LEVELS)
    found.about["fidelity"] = fidelity_command(file, wrapper.z_size)
    return file


def fidelity_generator(found: Exportable) -> FidelityGenerator:
    """Wrap what is to be exported; raises ValueError where it is no generator of images."""
    if not isinstance(found.module, ExportedGenerator):
        raise ValueError("format fidelity is for generators, this is a classifier: choose safetensors, pt2 or onnx")
    return FidelityGenerator(found.module.generator, channels=found.about["channels"]).eval()  # type: ignore[arg-type]


FORMATS: dict[str, Callable[[Exportable, Path], Path]] = {
    "safetensors": write_safetensors,
    "pt2": write_program,
    "onnx": write_onnx,
    "fidelity": write_fidelity,
}


def check_format(name: str, found: Exportable) -> None:
    """Raise ValueError, before anything is written, for a network that the format cannot hold."""
    if name == "fidelity":
        fidelity_generator(found)
    if name == "safetensors" and "foreign" in found.about:
        raise ValueError(
            "--format safetensors holds weights alone, and the code of this generator is not ours: choose pt2, onnx or "
            "fidelity"
        )
    if name == "onnx":
        try:
            import onnx
            import onnxruntime
            import onnxscript

            _ = (onnx, onnxruntime, onnxscript)
        except ImportError as error:
            raise ValueError(f"--format onnx needs {error.name}: pip install 'advgan[onnx]'") from None


def _batches(found: Exportable) -> tuple[dict[int, torch.export.Dim], ...]:
    return tuple({0: torch.export.Dim("batch")} for _ in found.example)


def _hold_against(
    module: nn.Module, example: tuple[Tensor, ...], call: Call, file: Path, *, tolerance: float = TOLERANCE
) -> None:
    """Raise ValueError where a file's output differs from the network's, also at another batch size than traced."""
    inputs = tuple(torch.cat([tensor.flip(0), tensor[:1]]) for tensor in example)
    with torch.no_grad():
        error = float((call(*inputs).float() - module(*inputs).float()).abs().max())
    if not error <= tolerance:
        file.unlink()
        raise ValueError(f"the exported network differs from the original by {error:.2g}: nothing was kept")
