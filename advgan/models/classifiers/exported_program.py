"""Networks that torch.export saved as `.pt2`, read without the parts of the format that run code.

torch.export.load unpickles parts of the archive and evaluates strings in it as Python. A normal export of a classifier
needs little of that, so everything else is refused before torch reads the file. The format is still not designed to be
safe: load `.pt2` files only from sources that you trust.
"""

import ast
import io
import json
import logging
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision|quantized|quantized_decomposed)\.\w+(\.\w+)?"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.[a-z]\w*|torch\.sym_[a-z]+"
)
_NAME = re.compile(r"[\w.]*")
_SHAPE_OF_INPUT = re.compile(r"L(\['\w+'\]|\[\d+\])+\.(size|stride)\(\)\[\d+\]")
_ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Tuple, ast.Name, ast.keyword)
_SIGNS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Max", "Min", "Abs", "Add", "Mul", "Pow", "PowByNatural", "Mod"),
    *("PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "IntTrueDiv", "FloatTrueDiv"),
    *("RoundToInt", "TruncToInt", "ToFloat", "Piecewise", "ExprCondPair", "Eq", "Ne", "Lt", "Le", "Gt", "Ge"),
    *("And", "Or", "Not"),
}


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
    _refuse_code(path)
    logging.disable(logging.WARNING)  # torch would log a trace before it raises
    try:
        program = torch.export.load(path)
        if torch.device(device).type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, torch.device(device))
        network = ExportedNetwork(program.module())
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an exported program ({_first_line(error)})") from error
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


def _refuse_code(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist() if _holds_text(name)}
            names = [name.partition("/")[2] for name in archive.namelist()]
        if "archive_format" not in names:
            raise ValueError(f"{path} is not in the format of torch.export.save: export it again")
        if any(name.startswith("data/aotinductor") for name in names):
            raise ValueError(f"{path} holds compiled code, which is refused: use torch.export.save")
        for name, content in members.items():
            if name.endswith(".json"):
                _refuse_code_in(json.loads(content), path)
            else:
                torch.load(io.BytesIO(content), weights_only=True)
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as an exported program ({_first_line(error)})") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        raise ValueError(f"{path} holds a pickle that could run code: refused") from None


def _holds_text(name: str) -> bool:
    """Whether a member of an archive is JSON or, like the sample inputs, a pickle; weights are neither."""
    return name.endswith(".json") or "/sample_inputs/" in name


def _refuse_code_in(content: Any, path: Path) -> None:
    for key, value in _entries(content):
        if key == "use_pickle" and value:
            raise ValueError(f"{path} holds a pickle that could run code: refused")
        if key == "target" and "." in str(value) and not _OPERATOR.fullmatch(str(value)):
            raise ValueError(f"{path} calls {str(value)[:60]!r}, which is no operator: refused")
        if (
            (key == "name" and value is not None and not _NAME.fullmatch(str(value)))
            or (key == "expr_str" and not _is_arithmetic(str(value)))
            or (key == "guards_code" and not all(_is_arithmetic(_SHAPE_OF_INPUT.sub("s", each)) for each in value))
        ):
            raise ValueError(f"{path} holds {str(value)[:60]!r}, which could run as code: refused")


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            yield from _entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value)


def _is_arithmetic(text: str) -> bool:
    """Whether a text is arithmetic over symbols: no attributes, no subscripts, calls of known functions only.

    Strings inside must be plain names too, since sympy evaluates the strings that its functions are given.
    """
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(
        isinstance(node, (*_ARITHMETIC, *_SIGNS))
        or (isinstance(node, ast.Constant) and re.fullmatch(r"[\w.+-]*", str(node.value)) is not None)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS)
        for node in nodes
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
