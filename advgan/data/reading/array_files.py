"""Read `.npz`, `.npy` and `.pt` files to named arrays, without unpickling objects, which could run code."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advgan.data.reading.arrays import CONVENTIONS, AnyArray
from advgan.error_text import one_line
from advgan.intake.limits import growth_within, within
from advgan.intake.regular import check_regular

_WANTED = {"classes"} | {key for convention in CONVENTIONS for keys in convention for key in (keys.images, keys.labels)}


def read_npz(path: Path) -> dict[str, AnyArray]:
    """Read the arrays of an `.npz`; Python objects in it are refused."""
    check_growth(path)
    with path.open("rb") as stream:
        try:
            _check_members(path)
            file = np.load(stream, allow_pickle=False)
        except Exception as error:  # a damaged file can raise nearly anything
            raise ValueError(_damaged(path, error)) from None
        if isinstance(file, np.ndarray):
            raise ValueError(f"{path} holds a single array; save images and labels together with numpy.savez")
        wanted = {name: _read_member(path, file, name) for name in file.files if name in _WANTED}
        return wanted or dict.fromkeys(file.files, np.zeros(0))


def read_npy(path: Path) -> dict[str, AnyArray]:
    """Read the one array of an `.npy`, as `images`."""
    check_regular(path)
    try:
        with path.open("rb") as stream:
            array: AnyArray = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # a damaged file can raise nearly anything
        if "pickle" in str(error):
            raise ValueError(f"{path} holds Python objects, which are refused; save numbers") from None
        words = "is empty" if path.stat().st_size == 0 else "is damaged or no .npy file"
        raise ValueError(f"{path} {words}: save it again with numpy.save") from None
    return {"images": array}


def read_pt(path: Path) -> dict[str, AnyArray]:
    """Read the tensors of a dictionary saved with `torch.save`, or one tensor, as `images`.

    Anything but tensors and plain values is refused.
    """
    check_growth(path)
    try:
        members = _check_members(path)
    except Exception as error:  # as above
        raise ValueError(_damaged(path, error)) from None
    if any(member.endswith("constants.pkl") for member in members):
        raise ValueError(f"{path} is TorchScript, which is deprecated: export it as .pt2 or .onnx instead")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} holds more than tensors (Python objects could run code), so it was not loaded; "
            "save a dictionary of tensors: torch.save({'images': images, 'labels': labels}, path)"
        ) from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(_damaged(path, error)) from None
    if isinstance(content, Tensor):
        return {"images": _to_array(path, "images", content)}
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; a dictionary of images and labels is needed")
    wanted = {str(name): _to_array(path, name, value) for name, value in content.items() if name in _WANTED}
    return wanted or dict.fromkeys(map(str, content), np.zeros(0))


def check_growth(path: Path) -> None:
    """Look at a file that is about to be read, a zip archive as most are, or another.

    Raises ValueError where it is no file of a disk, or unpacks to more than the limits allow.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return  # whoever reads it says why
    within("members", len(members), what=path)
    growth_within(sum(member.file_size for member in members), path.stat().st_size, what=path)


def _read_member(path: Path, file: Mapping[str, AnyArray], name: str) -> AnyArray:
    try:
        found = file[name]
    except Exception as error:  # as above
        if isinstance(error, ValueError) and "pickle" in str(error):
            raise ValueError(f"{path}: {name} holds Python objects, which are refused; save numbers") from None
        raise ValueError(_damaged(path, error)) from None
    if not isinstance(found, np.ndarray):  # numpy gives the bytes of a member that is none of its own
        raise ValueError(f"{path}: {name} is no array: save it again with numpy.savez")
    return found


def _check_members(path: Path) -> list[str]:
    """The names in a zip archive, once every member fits its checksum: numpy looks only at some, torch at none.

    Names that were changed in the archive's index, and would pass for arrays that are not there, are found too. Of a
    file that is no zip archive there are none.
    """
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"the checksum of {damaged} differs")
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _END), 2)
        end = file.read()
    place = end.rfind(b"PK\5\6")
    count = int.from_bytes(end[place + 10 : place + 12], "little")
    if count not in (len(names), 0xFFFF):  # which stands for more than fit
        raise zipfile.BadZipFile(f"its index names {len(names)} of {count} members")
    return names


_END = (1 << 16) + 22
"""Bytes at the end of a zip archive in which the record of its index lies."""


def _to_array(path: Path, name: str, value: Any) -> AnyArray:
    try:
        if isinstance(value, Tensor):
            value = value.detach()
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError("it repeats the few numbers that are stored; save a copy of it, tensor.contiguous()")
            return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {name} cannot be read as numbers ({one_line(error, longest=120)})") from None


READERS = {".npz": read_npz, ".npy": read_npy, ".pt": read_pt, ".pth": read_pt}
"""Readers by the file's suffix in lower case."""


def _damaged(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return f"{path} is empty"
    return f"{path} is damaged or no {path.suffix} file ({one_line(error, longest=120)})"
