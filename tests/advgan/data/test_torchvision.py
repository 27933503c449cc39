"""The raw files of each data set are written here in miniature; nothing is downloaded."""

import hashlib
import pickle
import socket
import struct
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from advgan.config import DataConfig
from advgan.data import Data, load_data
from advgan.data.torchvision_sets import TORCHVISION

RANDOM = np.random.default_rng(0)


def load(name: str, cache: Path, **options: object) -> Data:
    return load_data(DataConfig(source=name, **options), cache=cache)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("Network is unreachable")

    socket.setdefaulttimeout(None)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torchvision.datasets.utils.download_file_from_google_drive", refuse)
    monkeypatch.setattr("torchvision.datasets.celeba.download_file_from_google_drive", refuse)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_and_its_likes_are_read_from_the_cache(name: str, folder: str, tmp_path: Path) -> None:
    train, test = RANDOM.integers(0, 256, (100, 28, 28)), RANDOM.integers(0, 256, (20, 28, 28))
    raw = tmp_path / "torchvision" / name / folder / "raw"
    for part, images in (("train", train), ("t10k", test)):
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(len(images)) % 10)
    data = load(name, tmp_path)
    assert torch.equal(data.test.images, torch.from_numpy(test).to(torch.uint8)[:, None])
    assert data.test.labels.tolist() == list(range(10)) * 2
    assert [len(part) for part in (data.train, data.validation)] == [90, 10]
    assert data.classes[0] == {"mnist": "0", "fashion-mnist": "T-shirt-top"}[name]
    assert load(name.upper(), tmp_path, resize=14, channels=3).train.images.shape == (90, 3, 14, 14)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_cifar_is_read_from_the_cache(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets as sets

    dataset = getattr(sets, kind)
    folder = tmp_path / "torchvision" / name / dataset.base_folder
    folder.mkdir(parents=True)
    names, label_key = (["plane", "car"], "labels") if name == "cifar10" else (["apple", "bear"], "fine_labels")
    images = {part: RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8) for part, count in (("a", 20), ("b", 4))}
    for part, pixels in images.items():
        content = {"data": pixels, label_key: [number % 2 for number in range(len(pixels))]}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"names": names}))
    monkeypatch.setattr(dataset, "train_list", [["a", md5(folder / "a")]])
    monkeypatch.setattr(dataset, "test_list", [["b", md5(folder / "b")]])
    monkeypatch.setattr(dataset, "meta", {"filename": "meta", "key": "names", "md5": md5(folder / "meta")})
    data = load(name, tmp_path)
    assert data.classes == tuple(names)
    assert torch.equal(data.test.images, torch.from_numpy(images["b"]).view(4, 3, 32, 32))
    assert data.test.labels.tolist() == [0, 1, 0, 1]

    (folder / "b").write_bytes(b"changed")
    with pytest.raises(ValueError, match=rf"{name}: the files in .*{name} are incomplete or damaged"):
        load(name, tmp_path, resize=16)


def test_svhn_is_read_from_the_cache_with_its_label_10_as_the_digit_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    folder = tmp_path / "torchvision/svhn"
    folder.mkdir(parents=True)
    images = {part: RANDOM.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8) for part in ("train", "test")}
    lists = {}
    for part, pixels in images.items():
        path = folder / f"{part}_32x32.mat"
        savemat(path, {"X": pixels, "y": np.array([10, *range(1, 10)] * 2, np.uint8)[:, None]})
        lists[part] = ["", path.name, md5(path)]
    monkeypatch.setattr(SVHN, "split_list", lists)
    data = load("svhn", tmp_path)
    assert torch.equal(data.test.images, torch.from_numpy(images["test"]).permute(3, 2, 0, 1))
    assert data.test.labels.tolist() == list(range(10)) * 2


def test_stl10_is_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import STL10

    folder = tmp_path / "torchvision/stl10" / STL10.base_folder
    folder.mkdir(parents=True)
    images = RANDOM.integers(0, 256, (20, 3, 96, 96), dtype=np.uint8)  # columns before rows, as the publisher has it
    for part in ("train", "test"):
        (folder / f"{part}_X.bin").write_bytes(images.tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes(number % 2 + 1 for number in range(20)))
    (folder / STL10.class_names_file).write_text("airplane\nbird\n")
    for part in ("train", "test"):
        pair = [[name, md5(folder / name)] for name in (f"{part}_X.bin", f"{part}_y.bin")]
        monkeypatch.setattr(STL10, f"{part}_list", pair)
    data = load("stl10", tmp_path)
    assert torch.equal(data.test.images, torch.from_numpy(images).transpose(2, 3))
    assert data.test.labels.tolist() == [0, 1] * 10
    assert data.classes == ("airplane", "bird")


def write_celeba(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CelebA

    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(12)]
    for number, name in enumerate(names):
        Image.new("RGB", (178, 218), (number * 20, 0, 0)).save(root / "img_align_celeba" / name, quality=100)
    rows: dict[str, list[str]] = {
        "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(names, "000000001122", strict=True)],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
        "list_bbox_celeba.txt": ["12", "image_id x", *(f"{name} 1" for name in names)],
        "list_landmarks_align_celeba.txt": ["12", "x", *(f"{name} 1" for name in names)],
        "list_attr_celeba.txt": [
            "12", "Bald Male", *(f"{name} -1 {1 if number % 2 else -1}" for number, name in enumerate(names)),
        ],
    }  # fmt: skip
    for name, lines in rows.items():
        (root / name).write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(CelebA, "file_list", [("", md5(root / name), name) for name in rows])


def test_celeba_has_its_attribute_as_label_and_its_own_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_celeba(tmp_path / "torchvision/celeba/celeba", monkeypatch)
    data = load("celeba", tmp_path, resize=16)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 2, 2]
    assert data.classes == ("not male", "male")
    assert data.test.labels.tolist() == [0, 1]
    assert data.test.images.shape == (2, 3, 16, 16)
    assert (data.test.images[:, 0].float().mean((1, 2)) - torch.tensor([200.0, 220.0])).abs().max() < 3


def test_celeba_needs_a_size(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="celeba: images are 178x218 and must be square; --resize 64 takes the middle"):
        load("celeba", tmp_path)


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_without_a_network_the_error_names_set_folder_and_ways_out(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (compared below)
        load(name, tmp_path, resize=32)
    message = str(caught.value)
    assert message.startswith(f"{name} is not in the cache and cannot be downloaded (")
    assert f"in {tmp_path}/torchvision/{name}, or give your own images with --data DIR" in message
    assert "Network is unreachable" in message
    assert message.isprintable()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None


def test_a_download_appears_whole_once_and_leaves_stdout_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from torchvision.datasets import MNIST

    downloads: list[Path] = []

    def download(self: Any) -> None:
        if downloads and downloads[-1] == self.raw_folder:
            return
        downloads.append(self.raw_folder)
        print("Downloading ...")
        for part, count in (("train", 40), ("t10k", 10)):
            write_idx(Path(self.raw_folder) / f"{part}-images-idx3-ubyte", np.zeros((count, 28, 28)))
            write_idx(Path(self.raw_folder) / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)

    monkeypatch.setattr(MNIST, "download", download)
    for size in (None, 14):
        load("mnist", tmp_path, resize=size)
    assert len(downloads) == 1
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in (tmp_path / "torchvision").iterdir()) == ["mnist"]


def test_the_second_load_does_not_touch_the_raw_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_celeba(tmp_path / "torchvision/celeba/celeba", monkeypatch)
    before = load("celeba", tmp_path, resize=16).digest
    monkeypatch.setattr("advgan.data.torchvision_sets._obtain", None)
    assert load("celeba", tmp_path, resize=16).digest == before
