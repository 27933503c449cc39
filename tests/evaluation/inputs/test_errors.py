"""Whatever is wrong with an input is said in one line that names it and the way out."""

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from advgan.data import Data, ImageSet
from evaluation.inputs import open_source

Make = Callable[[Path], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))


def image(file: Path, size: int = 8, mode: str = "L", *, width: int | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width or size, size)).save(file)
    return file


def written(place: Path, name: str, content: str | bytes) -> Path:
    file = place / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def npz(place: Path, **arrays: Any) -> Path:
    np.savez(place / "x.npz", **arrays)
    return place / "x.npz"


def python(place: Path, code: str, name: str = "thing") -> str:
    return f"{written(place, 'mine.py', 'import torch' + chr(10) + code)}:{name}"


def folder(place: Path, *names: str) -> Path:
    (place / "set").mkdir()
    for name in names:
        image(place / "set" / name)
    return place / "set"


def mixed(place: Path) -> Path:
    image(place / "set" / "a.png", 8)
    image(place / "set" / "b.png", 9)
    return place / "set"


def colours(place: Path) -> Path:
    image(place / "set" / "a.png", 8)
    image(place / "set" / "b.png", 8, "RGB")
    return place / "set"


def broken_image(place: Path) -> Path:
    image(place / "set" / "a.png")
    written(place / "set", "b.png", b"\x89PNG broken")
    return place / "set"


def torch_script(place: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(str(place / "x.pth"))
    return place / "x.pth"


def object_array(place: Path) -> Path:
    np.save(place / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return place / "x.npy"


def half_zip(place: Path) -> Path:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("a.png", b"0" * 400)
    return written(place, "x.zip", memory.getvalue()[:200])


def classifier_run(place: Path) -> Path:
    from safetensors.torch import save_file

    (place / "run" / "checkpoints").mkdir(parents=True)
    save_file(
        {}, place / "run" / "checkpoints" / "last.safetensors", metadata={"format": "1", "kind": "classifier",
        "config": "{}", "state": '{"pairs": []}'}
    )  # fmt: skip
    return place / "run"


def bad_statistics(place: Path, mu: Any = None, sigma: Any = None) -> Path:
    return npz(place, mu=np.zeros(3) if mu is None else mu, sigma=np.eye(3) if sigma is None else sigma)


class Blind(nn.Module):
    """Does not say what it is fed."""


class Leaky(nn.Module):
    latent_dim = 2

    def forward(self, latents: Tensor) -> Tensor:
        return torch.randn(len(latents), 1, 4, 4).sigmoid()


class Vector(nn.Module):
    latent_dim = 2

    def forward(self, latents: Tensor) -> Tensor:
        return latents


class Broken(nn.Module):
    latent_dim = 2

    def forward(self, latents: Tensor) -> Tensor:
        return torch.full((len(latents), 1, 4, 4), torch.nan)


def wide(low: float, high: float) -> Callable[[Tensor, int], Tensor]:
    return lambda indices, seed: torch.tensor([low, high] * 2).float().view(1, 1, 2, 2).expand(len(indices), 1, 2, 2)


def whole(value: Any) -> Callable[[Tensor, int], Any]:
    return lambda indices, seed: value(indices)


UNIT = torch.linspace(0, 1, 5 * 48).view(5, 3, 4, 4)
CASES: dict[str, tuple[Make, str]] = {
    "nothing there": (lambda p: p / "no", "nothing at .*no to score: give the run"),
    "empty folder": (lambda p: folder(p), "holds no images .png"),
    "folder of other files": (lambda p: written(folder(p), "a.txt", "x").parent, "holds no images"),
    "one image": (lambda p: folder(p, "a.png"), "gives 1 image: scores need 2"),
    "images beside folders": (lambda p: folder(p, "a.png", "b/c.png"), "beside folders of images, such as b/: name"),
    "mixed sizes": (mixed, "differ in size: a.png is 8x8, b.png is 9x9; --resize 8"),
    "mixed colours": (colours, "grey and colour images are mixed"),
    "not square": (lambda p: image(p / "s" / "a.png", 8, width=9).parent, "must be square.*--resize 8"),
    "broken image": (broken_image, "1 of 2 images cannot be read, first: b.png"),
    "single image file": (lambda p: image(p / "a.png"), "single image: name the folder"),
    "broken zip": (half_zip, "damaged or no archive"),
    "broken tar.gz": (lambda p: written(p, "x.tar.gz", b"123"), "damaged or no archive"),
    "empty zip": (lambda p: written(p, "x.zip", b""), "is empty"),
    "pickle": (lambda p: written(p, "x.pkl", pickle.dumps([1])), "is a pickle, which could run code: refused"),
    "text": (lambda p: written(p, "x.txt", "a"), "cannot be scored: give the run"),
    "python file without object": (lambda p: written(p, "x.py", ""), "Python file: name the generator.*x.py:OBJECT"),
    "python file that fails": (lambda p: python(p, "1 / 0"), "running .* failed: ZeroDivisionError.*line 2"),
    "python file without that": (lambda p: python(p, "def other(): pass"), "has no 'thing': it has other"),
    "python builder that fails": (lambda p: python(p, "def thing(): 1 / 0"), "calling .* failed: ZeroDivisionError"),
    "python object of no use": (lambda p: python(p, "thing = 3"), "a int cannot be scored"),
    "python function of three": (lambda p: python(p, "def thing(a, b, c): pass"), r"given \(indices, seed\)"),
    "python function of a count": (lambda p: python(p, "def thing(count): pass"), "called with two arguments"),
    "python function that fails": (lambda p: python(p, "def thing(i, s): 1 / 0"), r"failed on 5 images \(ZeroDiv"),
    "npz without images": (lambda p: npz(p, a=np.zeros(3)), "holds no images: name the array images.*holds a"),
    "npz that is none": (lambda p: written(p, "x.npz", b"abc"), "damaged or no .npz"),
    "npz of objects": (lambda p: npz(p, images=np.array([{}], dtype=object)), "Python objects, which are refused"),
    "signed floats": (lambda p: npz(p, images=UNIT.numpy() * 2 - 1), r"runs from -1 to 1.*give \(images \+ 1\) / 2"),
    "float bytes": (lambda p: npz(p, images=UNIT.numpy() * 255), "runs from 0 to 255.*give images / 255"),
    "whole numbers": (lambda p: npz(p, images=np.zeros((5, 4, 4, 3), np.int64)), "has the type int64"),
    "NaN": (lambda p: npz(p, images=UNIT.numpy() * np.nan), "holds NaN"),
    "no images in it": (lambda p: npz(p, images=np.zeros((0, 4, 4, 3), np.uint8)), "holds no images"),
    "four channels": (lambda p: np.zeros((5, 4, 8, 8), np.uint8), "1 or 3 channels are needed"),
    "flat vectors": (lambda p: np.zeros((5, 64), np.uint8), "has 2 dimensions"),
    "wide arrays": (lambda p: np.zeros((5, 3, 4, 8), np.uint8), "must be square, these are 8x4"),
    "too few labels": (lambda p: npz(p, images=UNIT.numpy(), labels=np.zeros(4, int)), "5 images but 4 labels"),
    "one-hot labels": (lambda p: npz(p, images=UNIT.numpy(), labels=np.eye(5, dtype=int)), "one label an image"),
    "negative labels": (lambda p: npz(p, images=UNIT.numpy(), labels=-np.ones(5, int)), "label -1"),
    "fewer names than labels": (
        lambda p: npz(p, images=UNIT.numpy(), labels=np.arange(5), classes=np.array(["a"])),
        "label 4 is outside the range, classes names 1",
    ),
    "npy of objects": (object_array, "Python objects, which are refused"),
    "npy that is none": (lambda p: written(p, "x.npy", b"abc"), "damaged or no .npy"),
    "empty npy": (lambda p: written(p, "x.npy", b""), "is empty"),
    "pt that is none": (lambda p: written(p, "x.pt", b"abc"), "damaged or no .pt"),
    "pt with code": (lambda p: torch.save({"images": Path()}, p / "x.pt") or p / "x.pt", "holds more than tensors"),
    "pt of a state dict": (
        lambda p: torch.save({"w": torch.zeros(2)}, p / "x.pt") or p / "x.pt", "holds no images.*it holds w"
    ),
    "pt of a list": (lambda p: torch.save([1], p / "x.pt") or p / "x.pt", "holds a list"),
    "torchscript": (torch_script, "is TorchScript, which is deprecated"),
    "pt2 that is none": (lambda p: written(p, "x.pt2", b"abc"), "cannot be read as an exported program"),
    "onnx that is none": (lambda p: written(p, "x.onnx", b"abc"), "cannot be read as an ONNX model"),
    "safetensors that is none": (lambda p: written(p, "x.safetensors", b"abc"), "damaged or no advgan checkpoint"),
    "classifier": (classifier_run, "is a classifier checkpoint, a gan checkpoint is needed"),
    "run without checkpoint": (lambda p: (p / "checkpoints").mkdir() or p, "no checkpoint in"),
    "statistics that do not fit": (lambda p: bad_statistics(p, mu=np.zeros(4)), "do not belong together"),
    "statistics with NaN": (lambda p: bad_statistics(p, mu=np.full(3, np.nan)), "NaN or infinity"),
    "asymmetric covariance": (lambda p: bad_statistics(p, sigma=np.triu(np.ones((3, 3)))), "not symmetric"),
    "impossible covariance": (lambda p: bad_statistics(p, sigma=np.eye(3) - 2), "correlations beyond 1"),
    "negative variance": (lambda p: bad_statistics(p, sigma=-np.eye(3)), "no covariance"),
    "statistics of text": (lambda p: bad_statistics(p, mu=np.array(["a"])), "cannot be read"),
    "module without latent_dim": (lambda p: Blind(), "Blind is a module without latent_dim"),
    "module with its own noise": (lambda p: Leaky(), "another image for the same index"),
    "module of vectors": (lambda p: Vector(), r"outputs of the shape \(5, 2\)"),
    "module of NaN": (lambda p: Broken(), "NaN or infinity: its weights are broken"),
    "images of no range": (lambda p: wide(-3, 3), "from -3 to 3, which is no range of images"),
    "dark levels": (lambda p: wide(0, 1.5), "from 0 to 1.5, which is no range of images"),
    "whole generated images": (lambda p: whole(lambda i: torch.zeros(len(i), 1, 4, 4).long()), "type torch.int64"),
    "tuples": (lambda p: whole(lambda i: (UNIT[i], UNIT[i])), "returns a tuple of 2: return the images alone"),
    "nothing": (lambda p: whole(lambda i: None), "returns a NoneType: return the images alone"),
    "too many": (lambda p: whole(lambda i: torch.cat([UNIT[i], UNIT])), "gave 10 images for 5 indices"),
    "two channels": (lambda p: whole(lambda i: UNIT[i][:, :2]), "2 channels and 4x4 pixels"),
    "wide images": (lambda p: whole(lambda i: UNIT[i][:, :, :2]), "3 channels and 4x2 pixels"),
    "triple": (lambda p: (UNIT, UNIT, UNIT), r"tuple of 3 cannot be scored"),
    "number": (lambda p: 3.5, "a float cannot be scored"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    make, words = CASES[case]
    with pytest.raises(ValueError, match=words) as caught:
        open_source(make(tmp_path), num_samples=5)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_a_generator_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="draws any number of images: say how many"):
        open_source(lambda indices, seed: UNIT[indices])


@pytest.mark.parametrize("count", [1, 0, -3])
def test_too_few_samples_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"num_samples {count} is too few"):
        open_source(UNIT, num_samples=count)


def test_images_of_another_form_than_the_data_are_refused() -> None:
    part = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4) % 2, ("a", "b"), "toy")
    data = Data("toy", part, part, part)
    with pytest.raises(ValueError, match=r"Tensor has 3x4x4 images, toy 1x8x8.*--resize 8 --channels 1"):
        open_source(UNIT, data=data)
    labels = torch.tensor([0, 1, 2, 0])
    with pytest.raises(ValueError, match="has the label 2, toy has the classes 0 to 1"):
        open_source((torch.zeros(4, 1, 8, 8), labels), data=data)


def test_a_generator_that_leaves_its_range_later_is_caught() -> None:
    def late(indices: Tensor, seed: int) -> Tensor:
        return torch.where(indices < 50, 0.5, -0.5)[:, None, None, None].expand(-1, 1, 4, 4)

    source = open_source(late, num_samples=100)
    with pytest.raises(ValueError, match=r"late: the first images are in \[0, 1\], but these run from -0.5"):
        source.images(torch.tensor([60, 61]))  # type: ignore[union-attr]


def test_a_generator_that_turns_to_nan_later_is_caught() -> None:
    def late(indices: Tensor, seed: int) -> Tensor:
        return torch.where(indices < 50, 0.5, torch.nan)[:, None, None, None].expand(-1, 1, 4, 4)

    source = open_source(late, num_samples=100)
    with pytest.raises(ValueError, match="late"):
        source.images(torch.tensor([60, 61]))  # type: ignore[union-attr]
