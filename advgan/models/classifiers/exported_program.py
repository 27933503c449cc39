"""Networks that torch.export saved as `.pt2`, read without the parts of the format that run code.

torch.export.load unpickles parts of the archive and evaluates strings in it as Python. A normal export of a classifier
needs little of that: what it needs is listed in `advgan/models/programs/`, everything else is refused, and torch reads
an archive that was written anew of what was let in.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advgan.error_text import first_line
from advgan.models.programs.archive import (
    CONSTANTS,
    CONSTANTS_CONFIG,
    MODEL,
    WEIGHTS,
    WEIGHTS_CONFIG,
    read_members,
    written_anew,
)
from advgan.models.programs.graph import checked_program
from advgan.models.programs.payload import checked_config


class ExportedNetwork(nn.Module):
    """An exported program as a module that ignores `train` and `eval`: its mode was fixed at export."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits; gradients flow through."""
        return self.program(images)

    def train(self, mode: bool = True) -> "ExportedNetwork":
        """Remember the flag and leave the program alone, which refuses the call."""
        self.training = mode
        return self


def load_exported(path: Path, *, device: torch.device | str = "cpu") -> ExportedNetwork:
    """Read a `.pt2` file as a network.

    Raises ValueError in one line where it is damaged, could run code, or was exported in train mode.
    """
    members = read_members(path)
    members[MODEL] = checked_program(members[MODEL], path)
    members[WEIGHTS_CONFIG] = checked_config(members[WEIGHTS_CONFIG], members, WEIGHTS, path)
    members[CONSTANTS_CONFIG] = checked_config(members[CONSTANTS_CONFIG], members, CONSTANTS, path)
    logging.disable(logging.WARNING)  # torch would log a trace before it raises
    try:
        program = torch.export.load(written_anew(members))
        if torch.device(device).type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, torch.device(device))
        network = ExportedNetwork(program.module())
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an exported program ({first_line(error)})") from error
    finally:
        logging.disable(logging.NOTSET)
    if any(_trains(node) for node in program.graph.nodes):
        raise ValueError(f"{path} was exported in train mode (dropout or batch statistics): call eval() before export")
    return network


def exported_shape(network: ExportedNetwork) -> tuple[int | None, ...]:
    """The shape of the images that a program takes, None for each side that is free; empty where it says nothing."""
    graph = getattr(network.program, "graph", None)
    for node in graph.nodes if graph is not None else ():
        if node.op == "placeholder":
            return tuple(int(side) if isinstance(side, int) else None for side in node.meta["val"].shape)
    return ()


def _trains(node: Any) -> bool:
    """Whether an operator is told by its schema that it runs in train mode."""
    if node.op != "call_function" or not hasattr(node.target, "_schema"):
        return False
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.name in ("train", "training"):
            given = node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
            return given is True
    return False
