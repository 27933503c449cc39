"""What of an ONNX file is let through to ONNX Runtime: its graph of known operators, and weights of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advgan.error_text import first_line
from advgan.intake.regular import check_regular
from advgan.models.programs.onnx_operators import ENDLESS, OPERATORS

_MOST_BYTES = 2**31 - 1
"""That a protobuf can hold."""
_MOST_NODES = 200_000
_NOTES = ("training_info", "metadata_props", "doc_string", "configuration")
_EXTERNAL = 1
"""What a tensor says whose bytes lie in another file."""

Function = tuple[str, str]
"""Domain and name."""


def checked_onnx(path: Path) -> bytes:
    """The model of an ONNX file, written anew with its weights inside and without notes.

    Weights beside it are read where torch.onnx.export puts them, in FILE.onnx.data, and nowhere else. Raises ValueError
    in one line where the file is damaged, too large, or uses anything that is not known to be harmless and to end.
    """
    import onnx

    check_regular(path)
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} has more than 2 GB, which no ONNX file holds: give the model as .pt2")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # protobuf's errors have no common type
        raise ValueError(f"{path} cannot be read as an ONNX model ({first_line(error)})") from None
    for note in _NOTES:
        if any(field.name == note for field in model.DESCRIPTOR.fields):
            model.ClearField(note)
    _check_operators(model, path)
    _take_in(model, path)
    return _serialised(model, path)


def _parts(message: Any, kind: str) -> Iterator[Any]:
    """Every message of a kind inside another, wherever the format lets one stand."""
    if message.DESCRIPTOR.name == kind:
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if hasattr(value, "__len__") else (value,):
                yield from _parts(each, kind)


def _check_operators(model: Any, path: Path) -> None:
    functions = {(each.domain, each.name): each for each in model.functions}
    for node in _parts(model, "NodeProto"):
        name = (node.domain, node.op_type)
        said = f"{node.domain}::{node.op_type}".removeprefix("::")[:80]
        if node.op_type in ENDLESS:
            raise ValueError(f"{path} holds {said!r}, which may never end: refused")
        if name not in functions and node.op_type not in OPERATORS.get(node.domain, frozenset()):
            raise ValueError(f"{path} holds {said!r}, which is no operator that is allowed: refused")
    sizes: dict[Function, int] = {}
    if _size(model.graph, functions, sizes, (), path) > _MOST_NODES:
        raise ValueError(f"{path} has more than {_MOST_NODES:,} operators: refused")


def _size(
    body: Any, functions: dict[Function, Any], sizes: dict[Function, int], within: tuple[Function, ...], path: Path
) -> int:
    """Operators of a graph or function when every call of a function is replaced by what it holds."""
    total = 0
    for node in _parts(body, "NodeProto"):
        name = (node.domain, node.op_type)
        if name in within or len(within) > len(functions):
            raise ValueError(f"{path} holds the function {node.op_type[:60]!r}, which calls itself: refused")
        if name in functions and name not in sizes:
            sizes[name] = _size(functions[name], functions, sizes, (*within, name), path)
        total += 1 + sizes.get(name, 0)
    return total


def _take_in(model: Any, path: Path) -> None:
    """Put weights that lie beside the file into it."""
    beside = path.with_name(f"{path.name}.data")
    for tensor in _parts(model, "TensorProto"):
        if not tensor.external_data and tensor.data_location != _EXTERNAL:
            continue
        said = {entry.key: entry.value for entry in tensor.external_data}
        if said.get("location") != beside.name or not beside.is_file() or beside.is_symlink():
            raise ValueError(
                f"{path} keeps weights in {said.get('location', '')[:80]!r}, and only {beside.name} is read: export it "
                "with external_data=False"
            )
        tensor.raw_data = _slice(beside, said, path)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _slice(file: Path, said: dict[str, str], path: Path) -> bytes:
    size = file.stat().st_size
    try:
        offset = int(said.get("offset", 0))
        length = int(said.get("length", size - offset))
    except ValueError:
        offset = length = -1
    if not (0 <= offset <= size and 0 <= length <= min(size - offset, _MOST_BYTES)):
        raise ValueError(f"{path} keeps weights outside {file.name}, which has {size:,} bytes: export it again")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def _serialised(model: Any, path: Path) -> bytes:
    try:
        content: bytes = model.SerializeToString()
    except Exception as error:  # protobuf's errors have no common type
        raise ValueError(f"{path} cannot be read as an ONNX model ({first_line(error)}): give it as .pt2") from None
    return content
