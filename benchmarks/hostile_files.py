"""Files that somebody might give to `advgan` to run code, to write elsewhere, or to bring it down."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

HACKED = "hacked"
"""The folder that they would make."""
Case = tuple[str, Callable[[Path], None], str]
"""A name, what puts it into a folder, and the command that reads it."""


class Payload:
    """A pickle that would make a folder if it were ever unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (HACKED,))


def hostile() -> list[Case]:
    """A hundred cases and more."""
    return [*_pickles(), *_archives(), *_yaml(), *_checkpoints(), *_pictures()]


COMMANDS = {
    "--data": "fit --data {} --model mlp --epochs 1",
    "--model": "attack --data images --model {} --attack fgsm -n 10",
    "eval": "eval {} --data images --features pixels -n 10",
    "--ckpt": "sample --ckpt {} -n 4",
    "--extra": "fit --data images --extra {} --model mlp --epochs 1",
}


def _pickles() -> list[Case]:
    return [
        (f"a pickle as {suffix} for {option}", partial(_put, f"evil{suffix}", pickled), words.format(f"evil{suffix}"))
        for suffix, pickled in [
            *((suffix, pickle.dumps(Payload())) for suffix in (".pt", ".pkl", ".npy", ".onnx", ".safetensors")),
            (".npz", _zipped({"images.npy": pickle.dumps(Payload())})),
            (".pth", _zipped({"evil/data.pkl": pickle.dumps(Payload()), "evil/version": b"3"})),
            *((".pt2", _zipped(members)) for members in _programs()),
        ]
        for option, words in COMMANDS.items()
    ]


def _programs() -> list[dict[str, bytes]]:
    code = pickle.dumps(Payload())
    head = {"model/archive_format": b"pt2", "model/archive_version": b"0", "model/models/model.json": b"{}"}
    weights = {"config": {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": False}}}
    return [
        {**head, "model/data/weights/model.pt": code},
        {**head, "model/data/constants/model.pt": code},
        {**head, "model/data/Sample_Inputs/model.pt": code},
        {
            **head,
            "model/data/weights/weight_0": code,
            "model/data/weights/model_weights_config.json": json.dumps(weights).encode(),
        },
    ]


def _archives() -> list[Case]:
    names = [
        f"../{HACKED}/a.png",
        f"/tmp/{HACKED}/a.png",
        f"..\\{HACKED}\\a.png",
        "\x1b[31mred/a.png",
        "a\nb/a.png",
        "C:/a.png",
    ]
    cases = [(f"zip with {name!r}", _zipped({name: _png()}), ".zip") for name in names]
    cases += [(f"tar with {name!r}", _tarred(name), ".tar") for name in names]
    cases += [("tar with a link", _tarred("a/a.png", link="/etc/passwd"), ".tar")]
    cases += [("a bomb", _zipped({f"{k}/{k}.png": bytes(300 << 20) for k in (1, 2)}), ".zip")]
    cases += [(f"half a {suffix}", _zipped({"a/a.png": _png()})[:60], suffix) for suffix in (".zip", ".tar", ".tar.gz")]
    return [
        (name, partial(_put, f"evil{suffix}", content), COMMANDS[option].format(f"evil{suffix}"))
        for name, content, suffix in cases
        for option in ("--data", "eval")
    ]


def _yaml() -> list[Case]:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{after}: &{after} [{','.join(['*' + before] * 9)}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    texts = {
        "aliases": bomb,
        "nesting": "[" * 20000,
        "a tag": f"!!python/object/apply:os.mkdir ['{HACKED}']",
        "an escape": '"\\e[31mred": 1',
        "a key twice": "seed: 1\nseed: 2",
        "a list": "- 1",
        "a number": "seed: 1e400",
        "bytes": "\x00\x01",
    }
    return [
        (f"YAML: {name}", partial(_put, "evil.yaml", text.encode()), f"{verb} -c evil.yaml")
        for name, text in texts.items()
        for verb in ("fit", "attack")
    ]


def _checkpoints() -> list[Case]:
    changes = {
        "another network": {"network": {"name": "evil.py:build"}},
        "names that lead out": {"data": {"classes": [f"../../{HACKED}", f"/tmp/{HACKED}"]}},
        "a huge size": {"data": {"size": 10**9}},
        "an escape": {"data": {"name": "\x1b[31mred"}},
        "no dictionary": {"data": []},
    }
    cases: list[Case] = []
    for run, option in (("fit", "--model"), ("train", "--ckpt")):
        for name, change in changes.items():
            cases.append(
                (
                    f"checkpoint of {run}: {name}",
                    partial(_edited, run, change),
                    COMMANDS[option].format("evil.safetensors"),
                )
            )
        for size in (0, 1 << 40, 7):
            content = struct.pack("<Q", size) + b"{}"
            cases.append(
                (
                    f"a header of {size}",
                    partial(_put, "evil.safetensors", content),
                    COMMANDS[option].format("evil.safetensors"),
                )
            )
    return cases


def _edited(run: str, change: dict[str, object], folder: Path) -> None:
    """A checkpoint with another header, whose author left the digest out."""
    content = (folder / run / "checkpoints/last.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = header["__metadata__"]
    about.pop("sha256", None)
    config = json.loads(about["config"])
    for section, values in change.items():
        config[section] = {**config.get(section, {}), **values} if isinstance(values, dict) else values
    about["config"] = json.dumps(config)
    text = json.dumps(header).encode()
    _put("evil.safetensors", struct.pack("<Q", len(text)) + text + content[8 + length :], folder)
    _put("evil.py", f"import os; os.mkdir('{HACKED}')\ndef build(): pass".encode(), folder)


def _pictures() -> list[Case]:
    size = struct.pack(">II", 10**6, 10**6)
    contents = {"half": _png()[:40], "text": b"no picture", "none": b"", "huge": _png()[:16] + size + _png()[24:]}
    cases = [(f"a picture: {name}", partial(_put, "set/a/a.png", content), "set") for name, content in contents.items()]
    names = ["set/\x1b[31mred/a.png", "set/=2+2/a.png", "set/a\nb/a.png", "set/\u202eabc/a.png"]
    cases += [(f"a name: {name!r}", partial(_put, name, _png()), "set") for name in names]
    cases += [("a pipe", _pipe, "pipe.npz")]
    return [(name, make, COMMANDS[option].format(what)) for name, make, what in cases for option in ("--data", "eval")]


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.npz")


def _png() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8), 99).save(file, "PNG")
    return file.getvalue()


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _tarred(name: str, *, link: str = "") -> bytes:
    file, member = io.BytesIO(), tarfile.TarInfo(name)
    with tarfile.open(fileobj=file, mode="w") as archive:
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
        else:
            member.size = len(_png())
            archive.addfile(member, io.BytesIO(_png()))
    return file.getvalue()


def _put(name: str, content: bytes, folder: Path) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
