"""The archive of torch.export: which of its members are let in, read by us and written anew for torch.

torch's own reader finds members whatever the case of their names, unpickles what stands beside the weights, and runs
compiled code. So it never sees the file: it gets an archive that we made, of the members below and no others.
"""

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from advgan.error_text import first_line
from advgan.intake.limits import growth_within, within
from advgan.intake.regular import check_regular
from advgan.models.programs.pickles import is_of_tensors

MODEL = "models/model.json"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"
WEIGHTS_CONFIG = "data/weights/model_weights_config.json"
CONSTANTS_CONFIG = "data/constants/model_constants_config.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_NEEDED = (MODEL, WEIGHTS_CONFIG, CONSTANTS_CONFIG)
_MARKS = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_PAYLOAD = re.compile(r"data/(weights/weight|constants/tensor)_(0|[1-9]\d{0,6})")
_PASSED_OVER = re.compile(
    r"\.data/(version|serialization_id)|\.format_version|\.storage_alignment|extra/(?!.*\.\.)[\w./ -]{1,200}"
)
"""What torch writes beside the program, and users' own notes: not read."""


def read_members(path: Path) -> dict[str, bytes]:
    """Read the members of an archive that are let in: the program, its tensors' description and their bytes.

    Raises ValueError in one line where there is any other member, or one that is not what it claims to be.
    """
    check_regular(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _named(archive, path)
            _check_sizes(members, path)
            content = {name: archive.read(info) for name, info in members.items() if not _PASSED_OVER.fullmatch(name)}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as an exported program ({first_line(error)})") from None
    _check_marks(content, path)
    return content


def written_anew(members: Mapping[str, bytes]) -> io.BytesIO:
    """An archive of these members as torch.export.load reads it, without sample inputs."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**_MARKS, ".data/version": b"6\n", SAMPLE_INPUTS: b"", **members}.items():
            archive.writestr(zipfile.ZipInfo(f"model/{name}"), content)
    target.seek(0)
    return target


def _named(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members by their names below the one folder that holds them all."""
    members: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    within("members", len(infos), what=path)
    root = infos[0].filename.partition("/")[0] if infos else ""
    for info in infos:
        folder, _, name = info.filename.partition("/")
        _check_member(info, name if folder == root else "", path)
        members[name] = info
    if len({name.casefold() for name in members}) < len(infos):
        raise ValueError(f"{path} holds two members of one name: refused")
    if "archive_format" not in members:
        raise ValueError(f"{path} is not in the format of torch.export.save: export it again")
    missing = next((name for name in _NEEDED if name not in members), None)
    if missing:
        raise ValueError(f"{path} holds no {missing}: export it again with torch.export.save")
    return members


def _check_member(info: zipfile.ZipInfo, name: str, path: Path) -> None:
    said = repr(info.orig_filename[:80])
    if "aotinductor" in name.lower() or name.lower().endswith((".so", ".cubin")):
        raise ValueError(f"{path} holds compiled code, which is refused: use torch.export.save")
    if info.flag_bits & 1:
        raise ValueError(f"{path} is encrypted: save it without a password")
    if info.orig_filename != info.filename or stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f"{path} holds {said}, which is no plain file: refused")
    if name.lower() in (f"{WEIGHTS}model.pt", f"{CONSTANTS}model.pt"):
        raise ValueError(
            f"{path} holds {said}, a pickle that could run code: refused; if it was written by an old torch, export it "
            "again with a newer one"
        )
    if not (name in (*_MARKS, *_NEEDED, SAMPLE_INPUTS) or _PAYLOAD.fullmatch(name) or _PASSED_OVER.fullmatch(name)):
        raise ValueError(f"{path} holds {said}, which is no part of an exported program: refused")


def _check_sizes(members: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    file_size = path.stat().st_size
    total, packed = (sum(getattr(each, key) for each in members.values()) for key in ("file_size", "compress_size"))
    growth_within(total, file_size, what=path)
    for name, info in members.items():
        if name.endswith((".json", ".pt")):
            within("file", info.file_size, what=f"{path}, {name},")
    if packed > file_size:
        raise ValueError(f"{path} claims to hold {packed:,} bytes in {file_size:,}: refused")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in members.values()):
        raise ValueError(f"{path} is compressed in an unusual way: export it again with torch.export.save")


def _check_marks(members: dict[str, bytes], path: Path) -> None:
    """Check what says how to read the rest, and take it and the sample inputs, which nothing needs, away."""
    for name, expected in _MARKS.items():
        found = members.pop(name, expected)
        if found.strip() != expected:
            raise ValueError(
                f"{path} cannot be read as an exported program ({name} is {found[:20]!r}): export it again"
            )
    if not is_of_tensors(members.pop(SAMPLE_INPUTS, b"")):
        raise ValueError(f"{path} holds a pickle that could run code: refused")
