"""An exported program (`.pt2`, `.onnx`): its inputs, and a function that runs it."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Input(NamedTuple):
    """One input of a program: its shape, None where it is free, and whether it takes whole numbers."""

    shape: tuple[int | None, ...]
    whole: bool


class Program(NamedTuple):
    """A program that is fed and run."""

    inputs: tuple[Input, ...]
    run: Callable[..., Tensor]
