"""Networks in `.onnx` files, run by ONNX Runtime: logits, but no gradients."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advgan.error_text import first_line
from advgan.machine.interruptible import interruptible
from advgan.models.programs.onnx_file import checked_onnx


class OnnxNetwork(nn.Module):
    """Images to the outputs of an ONNX file. It cannot be differentiated, moved or trained."""

    def __init__(self, session: "OnnxSession") -> None:
        super().__init__()
        self.session = session
        self.input = session.inputs[0]
        self.dtype = torch.float16 if self.input.type == "tensor(float16)" else torch.float32

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of the file's input; None for each free dimension."""
        return tuple(side if isinstance(side, int) else None for side in self.input.shape)

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """Run images: a single output as a tensor, several as a dictionary by name, on the device of the images."""
        pixels = images.detach().to("cpu", self.dtype).contiguous().numpy()
        found = self.session.run({self.input.name: pixels})
        tensors = [torch.from_numpy(values).to(images.device) for values in found if hasattr(values, "dtype")]
        names = [each.name for each in self.session.outputs]
        return tensors[0] if len(found) == 1 else dict(zip(names, tensors, strict=False))


def load_onnx(path: Path) -> OnnxNetwork:
    """Open an ONNX file. Raises ValueError in one line where it is damaged or not an image classifier."""
    session = onnx_session(path)
    if len(session.inputs) != 1 or len(session.inputs[0].shape) != 4:
        shapes = ", ".join(str(each.shape) for each in session.inputs)
        raise ValueError(f"{path} takes inputs of shape {shapes}: one batch of images, (N, C, H, W), is needed")
    return OnnxNetwork(session)


def onnx_session(path: Path) -> "OnnxSession":
    """Open an ONNX file to run it; raises ValueError in one line where it is damaged or ONNX Runtime is missing.

    What it holds is looked at first, and written anew: see `advgan/models/programs/onnx_file.py`.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise ValueError(f"{path} needs ONNX Runtime: pip install 'advgan[onnx]'") from None
    _ = onnx  # which reads the file
    content = checked_onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what matters is raised

    def opened() -> Any:
        return onnxruntime.InferenceSession(content, options, providers=_providers(onnxruntime))

    try:
        session = interruptible(opened, stop=lambda: options.set_load_cancellation_flag(True))
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an ONNX model ({first_line(error)})") from error
    return OnnxSession(session, onnxruntime.RunOptions)


class OnnxSession:
    """A session of ONNX Runtime that Ctrl-C can end."""

    def __init__(self, session: Any, new_options: Callable[[], Any]) -> None:
        self.session, self._new_options = session, new_options
        self.inputs: list[Any] = session.get_inputs()
        self.outputs: list[Any] = session.get_outputs()

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """Arrays by the names of inputs to the outputs in their order."""
        options = self._new_options()
        return interruptible(
            lambda: self.session.run(None, dict(feeds), options), stop=lambda: setattr(options, "terminate", True)
        )


def _providers(onnxruntime: Any) -> list[str]:
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [each for each in wanted if each in onnxruntime.get_available_providers()]
