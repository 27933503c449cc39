"""The tensors of an exported program: raw bytes, and what says how to read them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch._export.serde.schema import ScalarType
from torch._export.serde.serialize import deserialize_scalar_type

from advgan.intake.json_text import parse_json
from advgan.models.programs.names import is_name

DEVICES = ("cpu", "cuda", "mps", "xpu")
_META = {"dtype", "sizes", "requires_grad", "device", "strides", "storage_offset", "layout"}
_ENTRY = {"path_name", "is_param", "use_pickle", "tensor_meta"}
_STRIDED = 7
_MOST_ELEMENTS = 2**40


def checked_config(content: bytes, members: Mapping[str, bytes], folder: str, path: Path) -> bytes:
    """The description of a folder's tensors, as JSON of ours, where each lies within the bytes that it names.

    Raises ValueError in one line otherwise, and where anything is no tensor.
    """
    try:
        config = parse_json(content)["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as an exported program (its tensors: {error})") from None
    try:
        for name, entry in config.items():
            if entry["use_pickle"] is not False:
                raise ValueError(f"{path} holds a pickle that could run code: refused")
            if not is_name(name) or not _is_whole(entry, members, folder):
                raise ValueError(f"{path} describes the tensor {name[:60]!r} otherwise than it is: refused")
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} cannot be read as an exported program (its tensors are not described)") from None
    return json.dumps({"config": config}).encode()


def _is_whole(entry: dict[str, Any], members: Mapping[str, bytes], folder: str) -> bool:
    """Whether an entry is a tensor whose elements all lie in its member."""
    meta = entry["tensor_meta"]
    if set(entry) != _ENTRY or set(meta) != _META or meta["layout"] != _STRIDED:
        return False
    if not (isinstance(entry["is_param"], bool) and isinstance(meta["requires_grad"], bool)):
        return False
    sizes, strides = ([_number(each) for each in meta[key]] for key in ("sizes", "strides"))
    offset = _number(meta["storage_offset"])
    raw = members.get(folder + str(entry["path_name"]))
    if raw is None or len(sizes) != len(strides) or min([*sizes, *strides, offset]) < 0:
        return False
    return _is_device(meta["device"]) and _fits(sizes, strides, offset, len(raw), _width(meta["dtype"]))


def _fits(sizes: list[int], strides: list[int], offset: int, num_bytes: int, width: int) -> bool:
    elements = 1
    for size in sizes:
        elements *= size
    if elements == 0:
        return offset == 0 and max(sizes) <= _MOST_ELEMENTS
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return elements <= _MOST_ELEMENTS and num_bytes % width == 0 and (last + 1) * width <= num_bytes


def _width(number: int) -> int:
    try:
        return torch.empty((), dtype=deserialize_scalar_type(ScalarType(number))).element_size()
    except (ValueError, KeyError):
        raise TypeError(f"no type {number}") from None


def _is_device(device: dict[str, Any]) -> bool:
    index = device.get("index")
    return set(device) <= {"type", "index"} and device["type"] in DEVICES and (index is None or isinstance(index, int))


def _number(side: dict[str, Any]) -> int:
    value = side["as_int"]
    if set(side) != {"as_int"} or isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no number")
    return value
