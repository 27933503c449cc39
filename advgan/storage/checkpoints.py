"""Checkpoints: one safetensors file with the tensors, and in its header the configuration and the rest as JSON.

A checkpoint holds no pickle, so reading one never runs code. It is written under a temporary name and renamed, so a
crash leaves the old file or the new one, never half of one; and it is sealed, so one that has changed is not read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from advgan.error_text import first_line
from advgan.storage.atomic import write_atomically
from advgan.storage.seal import BLANK, FIELD, is_whole, seal

FORMAT = 1
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: its `kind` ("classifier" or "gan"), the configuration as plain data, and the nested state."""

    kind: str
    config: dict[str, Any]
    state: dict[str, Any]
    path: Path


def save_checkpoint(path: Path, *, kind: str, config: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically, sealed by its digest.

    `config` is plain data (what `model_dump(mode="json")` returns). `state` nests dicts, lists, tensors and plain
    values, as `state_dict` of modules and optimisers does; tensors are written from the CPU, bit for bit.
    """
    tensors: dict[str, Tensor] = {}
    outline = _outline(dict(state), "state", tensors)
    metadata = {"format": str(FORMAT), "kind": kind, "config": json.dumps(dict(config)), "state": json.dumps(outline)}
    write_atomically(path, seal(_in_order(save(tensors, metadata={**metadata, FIELD: BLANK}))))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with the entries of its header sorted: the library shuffles the metadata in each process."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the data begin at a multiple of 8 bytes
    return b"".join((len(header).to_bytes(8, "little"), header, memoryview(content)[end:]))


def room_for_checkpoints(state: Any, *optimizers: torch.optim.Optimizer) -> int:
    """Bytes that the checkpoints of a training take: the last, the best, the one before, and one being written.

    For a state before the first step: the `optimizers` are yet to make their moments, two of each weight.
    """
    moments = sum(2 * _bytes(group["params"]) for optimizer in optimizers for group in optimizer.param_groups)
    return 4 * (_bytes(state) + moments)


def _bytes(value: Any) -> int:
    """Of the tensors in nested dicts and lists."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    items = value.values() if isinstance(value, Mapping) else value
    return sum(map(_bytes, items)) if isinstance(value, (Mapping, list, tuple)) else 0


def load_checkpoint(path: Path, *, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint onto the CPU; with `kind`, refuse one of another kind.

    Raises ValueError, naming the file, where it is missing, damaged, of another format or kind, or a pickle.
    """
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}")
    try:
        # Opened once: a reader that maps the file in two steps may meet two files when it is replaced in between.
        content = path.read_bytes()
        tensors = load(content)
        if not is_whole(content):
            raise ValueError(f"{path} is damaged (its content is not what was written)")
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or no advgan checkpoint ({first_line(error)})") from None
    _check_header(path, header, kind)
    try:
        config, state = json.loads(header["config"]), _fill(json.loads(header["state"]), tensors)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or no advgan checkpoint ({first_line(error)})") from None
    return Checkpoint(header.get("kind", ""), config, state, path)


def find_checkpoint(path: Path) -> Path:
    """Resolve what a user names as a model: a file is itself, a run folder is its best checkpoint, else its last."""
    if not path.is_dir():
        return path
    for name in ("best", "last"):
        found = path / "checkpoints" / f"{name}{SUFFIX}"
        if found.is_file():
            return found
    raise ValueError(f"no checkpoint in {path} (looked for checkpoints/best{SUFFIX} and checkpoints/last{SUFFIX})")


WITH_CODE = "write a function that builds the network and loads its weights, and give FILE.py:FUNCTION instead"
"""What to do with weights alone."""


def _check_header(path: Path, header: Mapping[str, str], kind: str | None) -> None:
    if "format" not in header:
        raise ValueError(
            f"{path} is no checkpoint of advgan, but holds weights without their architecture: {WITH_CODE}"
        )
    if header["format"] != str(FORMAT):
        raise ValueError(
            f"{path} has checkpoint format {header['format']}, this version reads {FORMAT}: upgrade advgan"
        )
    if kind is not None and header.get("kind") != kind:
        raise ValueError(f"{path} is a {header.get('kind')} checkpoint, a {kind} checkpoint is needed here")


def _outline(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Replace each tensor by its name and keep the rest as JSON; dicts become pairs, since JSON keys are strings."""
    if isinstance(value, Tensor):
        assert name not in tensors, f"two entries of the state are called {name}"
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _outline(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_outline(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]}
    assert value is None or isinstance(value, (bool, int, float, str)), f"{name} is a {type(value).__name__}"
    return {"value": value}


def _fill(outline: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    if "tensor" in outline:
        return tensors[outline["tensor"]]
    if "pairs" in outline:
        return {key: _fill(item, tensors) for key, item in outline["pairs"]}
    if "list" in outline:
        return [_fill(item, tensors) for item in outline["list"]]
    return outline["value"]


def parameters_digest(state: Mapping[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 over names, shapes and bytes of a state dict: the name of a set of weights."""
    digest = sha256()
    for name in sorted(state):
        for value in _parts(state[name]):
            if not isinstance(value, Tensor):
                digest.update(f"{name}:{value!r}".encode())
                continue
            tensor = (value.dequantize() if value.is_quantized else value).detach().cpu().contiguous()
            digest.update(f"{name}:{tuple(tensor.shape)}:{value.dtype}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def _parts(value: object) -> Iterator[object]:
    """What an entry of a state dict holds: a tensor, or, in quantised networks, tensors packed with other things."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _parts(part)
    else:
        yield value
