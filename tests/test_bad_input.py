"""What a user can get wrong: each mistake is one line, exit code 2, no trace, and nothing changed on disk."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cli


class Payload:
    """A pickle that would make a file if it were ever unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, ("hacked",))


def png(side: int = 8, mode: str = "L", seed: int = 0) -> bytes:
    channels = () if mode == "L" else (3,)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, *channels), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def folder(changes: dict[str, bytes | None] | None = None, *, classes: str = "ab", count: int = 12) -> None:
    """Make ./images with class folders, then apply changes: a file's bytes, or None to make an empty folder."""
    for name in classes:
        for number in range(count):
            put(f"images/{name}/{number:02d}.png", png(seed=ord(name) * 100 + number))
    for path, content in (changes or {}).items():
        put(path, content) if content is not None else Path(path).mkdir(parents=True, exist_ok=True)


def put(path: str, content: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def npz(**arrays: object) -> None:
    np.savez("images.npz", **{name: np.asarray(array) for name, array in arrays.items()})


def animation() -> bytes:
    file = io.BytesIO()
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 200)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def sixteen_bit() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(file, "PNG")
    return file.getvalue()


def images(count: int = 20, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 1), dtype=np.uint8)


def broken_zip() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/0.png", png())
    put("images.zip", file.getvalue()[:-30])


def hostile_zip() -> None:
    with zipfile.ZipFile("images.zip", "w") as archive:
        archive.writestr("../../escaped/0.png", png())
        archive.writestr("a/0.png", png())


def damaged_run(name: str) -> None:
    put("run/config.yaml", b"{}\n")
    put(f"run/checkpoints/{name}.safetensors", b"\x10\0\0\0\0\0\0\0{not json at all}")


labels = np.arange(20) % 2
NOTHING = lambda: None  # noqa: E731 (a table reads better)
FIT = ["fit", "--epochs", "1", "--data"]

CASES: dict[str, tuple[Callable[[], object], list[str], str]] = {
    # The images.
    "no such path": (NOTHING, [*FIT, "nowhere"], "no data at nowhere"),
    "a misspelt name": (NOTHING, [*FIT, "digit"], "did you mean digits"),
    "a file of another kind": (lambda: put("a.txt", b"hello"), [*FIT, "a.txt"], "a.txt is no source of images"),
    "an empty folder": (lambda: Path("images").mkdir(), [*FIT, "images"], "images"),
    "no images in the classes": (lambda: put("images/a/x.txt", b"x"), [*FIT, "images"], "images"),
    "a truncated image": (lambda: folder({"images/a/00.png": png()[:60]}), [*FIT, "images"], "--skip-bad"),
    "a text called png": (lambda: folder({"images/a/00.png": b"not a png"}), [*FIT, "images"], "a/00.png"),
    "mixed sizes": (lambda: folder({"images/a/00.png": png(9)}), [*FIT, "images"], "--resize"),
    "mixed colours": (lambda: folder({"images/a/00.png": png(8, "RGB")}), [*FIT, "images"], "--channels"),
    "an empty class": (lambda: folder({"images/c": None}), [*FIT, "images"], "c"),
    "one class only": (lambda: folder(classes="a"), [*FIT, "images"], "class"),
    "an animation": (lambda: folder({"images/a/x.gif": animation()}), [*FIT, "images"], "x.gif"),
    "16 bits a pixel": (lambda: folder({"images/a/x.png": sixteen_bit()}), [*FIT, "images"], "x.png"),
    "test images without training images": (
        lambda: [put(f"images/test/{name}/0.png", png()) for name in "ab"],
        [*FIT, "images"],
        "train",
    ),
    "a damaged archive": (broken_zip, [*FIT, "images.zip"], "images.zip"),
    "an archive that climbs out": (hostile_zip, [*FIT, "images.zip"], "images.zip"),
    "arrays without labels": (lambda: npz(images=images()), [*FIT, "images.npz"], "labels"),
    "fewer labels than images": (lambda: npz(images=images(), labels=labels[:-1]), [*FIT, "images.npz"], "19"),
    "a negative label": (lambda: npz(images=images(), labels=labels - 1), [*FIT, "images.npz"], "-1"),
    "labels that are no numbers": (lambda: npz(images=images(), labels=labels + 0.5), [*FIT, "images.npz"], "label"),
    "normalised floats": (lambda: npz(images=images() / 64 - 2, labels=labels), [*FIT, "images.npz"], "[0, 1]"),
    "a NaN": (lambda: npz(images=images() * np.nan, labels=labels), [*FIT, "images.npz"], "NaN"),
    "a pickle as data": (lambda: put("x.pt", pickle.dumps(Payload())), [*FIT, "x.pt"], "x.pt"),
    # The model.
    "an unknown model": (NOTHING, ["attack", "--model", "resnet5000"], "resnet5000"),
    "a model nobody trained": (
        folder,
        ["attack", "--model", "resnet", "--data", "images"],
        "advgan fit --data images --model resnet",
    ),
    "a pickle as model": (
        lambda: put("evil.pt", pickle.dumps(Payload())),
        ["attack", "--model", "evil.pt"],
        "evil.pt",
    ),
    "a zipped pickle as model": (
        lambda: torch.save(Payload(), "evil.pth"),
        ["attack", "--model", "evil.pth"],
        "evil.pth",
    ),
    "a pickle named as a checkpoint": (
        lambda: put("evil.safetensors", pickle.dumps(Payload())),
        ["sample", "--ckpt", "evil.safetensors"],
        "evil.safetensors",
    ),
    "no python object": (
        lambda: put("net.py", b"x = 1\n"),
        ["attack", "--model", "net.py:build"],
        "build",
    ),
    "means without deviations": (NOTHING, ["attack", "--model", "cnn", "--mean", "0.5"], "--std"),
    # The run.
    "no run to resume": (NOTHING, ["train", "--resume", "auto"], "no run of `advgan train`"),
    "a damaged checkpoint": (lambda: damaged_run("best"), ["sample", "--ckpt", "run"], "best.safetensors"),
    "a folder in use": (
        lambda: put("mine/thesis.tex", b"years"),
        ["fit", "--epochs", "1", "--out", "mine"],
        "--exist-ok",
    ),
    "a report of nothing": (lambda: Path("empty").mkdir(), ["report", "empty"], "no results at empty"),
    # The options.
    "an unknown attack": (NOTHING, ["attack", "--attack", "fgms"], "did you mean fgsm"),
    "a budget that is no number": (NOTHING, ["attack", "--eps", "8/zero"], "not a fraction"),
    "a negative budget": (NOTHING, ["attack", "--eps", "-0.1"], "eps"),
    "an unknown option": (NOTHING, ["attack", "--epsilon", "0.1"], "--eps"),
    "an unknown verb": (NOTHING, ["atack"], "attack"),
    "an unknown norm": (NOTHING, ["attack", "--norm", "l7"], "linf"),
    "an unknown key": (NOTHING, ["fit", "--set", "training.epoch=3"], "did you mean epochs"),
    "a key without a value": (NOTHING, ["fit", "--set", "training.epochs"], "section.key=value"),
    "a configuration that is no YAML": (lambda: put("c.yaml", b"a: [1"), ["fit", "-c", "c.yaml"], "c.yaml"),
    "an unknown preset": (NOTHING, ["train", "--preset", "stylegan9"], "no train preset"),
    "half a preset": (NOTHING, ["train", "--preset", "paper/sngan"], "did you mean paper/sngan-cifar10?"),
    "a device that is not here": (NOTHING, ["fit", "--device", "cuda:99"], "--device cuda:99"),
    "a batch larger than the data": (folder, ["train", "--data", "images", "-b", "500"], "--batch-size"),
    "a gate without a bound": (NOTHING, ["attack", "--fail-under", "robust_accuracy"], "metric=number"),
    "nothing to score": (NOTHING, ["eval"], "nothing to score"),
    "nothing there to score": (NOTHING, ["eval", "nowhere"], "nothing at nowhere"),
    "an unknown metric": (NOTHING, ["eval", "--metrics", "fidd"], "no metric 'fidd'"),
    "an unknown protocol": (NOTHING, ["eval", "--protocol", "tidy"], "no protocol 'tidy'"),
    "one subject to compare": (npz, ["eval", "images.npz", "--compare"], "compare needs two subjects"),
    "a pickle to score": (lambda: put("gan.pkl", pickle.dumps(Payload())), ["eval", "gan.pkl"], "is a pickle"),
    "nothing to sample from": (NOTHING, ["sample"], "--ckpt"),
}


def snapshot() -> dict[str, bytes | None]:
    """Every file and folder, but for images that were read well, which the cache may keep for the next time."""
    paths = sorted(path for path in Path().rglob("*") if "cache" not in path.parts or "classifiers" in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_one_line_and_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, arguments, fragment = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    make()
    before = snapshot()
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "-q"])
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("Error: ")
    assert fragment in captured.err
    assert "Traceback" not in captured.err
    assert "add -vv" not in captured.err, "an error that nobody foresaw"
    assert snapshot() == before


def test_there_are_at_least_thirty() -> None:
    assert len(CASES) >= 30
