"""The data sets that torchvision knows by name: downloaded on first use, then read from the cache."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from advgan.config import DataConfig
from advgan.data.downloading import quiet_and_patient
from advgan.data.reading.arrays import AnyArray
from advgan.data.reading.collection import TEST, TRAIN, VALIDATION, Collection
from advgan.data.reading.files import Files
from advgan.data.reading.gather import Check, decode_layout, decoding
from advgan.data.reading.layout import Layout
from advgan.data.reading.pixels import fit_array
from advgan.data.reading.store import stored
from advgan.error_text import one_line
from advgan.storage.cache import cached

Read = TypeVar("Read")


class Parts(NamedTuple):
    """Training and test images (N,C,H,W) with their labels, and the names of the classes."""

    train: tuple[AnyArray, AnyArray]
    test: tuple[AnyArray, AnyArray]
    classes: tuple[str, ...]


def read_torchvision(
    name: str, config: DataConfig, *, cache: Path, workers: int, check: Check
) -> tuple[Collection, Path]:
    """Give a data set of `TORCHVISION`, with the classes and the splits of its publisher.

    CelebA has no classes: its attribute `Male` serves as label, and its 178x218 images need `resize`, which takes the
    middle square. Raises ValueError, naming the folder, where the files are neither there nor to be had.
    """
    root = cache / "torchvision" / name
    if name == "celeba" and config.resize is None:
        raise ValueError(
            "celeba: images are 178x218 and must be square; --resize 64 takes the middle square of each (a folder of "
            "your own by that name is ./celeba)"
        )

    def build(folder: Path) -> Collection:
        if name == "celeba":
            files, layout = _obtain(name, root, _celeba)
            return decode_layout(files, layout, folder, config, name=name, workers=workers, check=check)
        return _join(name, _obtain(name, root, _ARRAYS[name]), config)

    return stored(cache, ["torchvision", name, *decoding(config)], build)


def _obtain(name: str, root: Path, read: Callable[[Path, bool], Read]) -> Read:
    """Read the files in `root`, after downloading them where the folder is missing."""

    def download(folder: Path) -> None:
        try:
            with quiet_and_patient():
                read(folder, True)
        except Exception as error:  # torchvision, urllib and gdown raise many kinds
            raise ValueError(
                f"{name} is not in the cache and cannot be downloaded ({one_line(error)}): place {TORCHVISION[name]} "
                f"in {root}, or give your own images with --data DIR"
            ) from None

    kept = cached(root, download)
    try:
        with quiet_and_patient():
            return read(kept, False)
    except Exception as error:  # as above
        raise ValueError(
            f"{name}: the files in {root} are incomplete or damaged ({one_line(error)}): "
            f"{TORCHVISION[name]} is needed; delete the folder to download it anew"
        ) from None


def _mnist(kind: str, root: Path, download: bool) -> Parts:
    from torchvision import datasets

    train, test = (getattr(datasets, kind)(root, train=part, download=download) for part in (True, False))
    names = [str(number) for number in range(10)] if kind == "MNIST" else train.classes
    images, held_out = train.data.numpy()[:, None], test.data.numpy()[:, None]
    return Parts((images, train.targets.numpy()), (held_out, test.targets.numpy()), tuple(names))


def _cifar(kind: str, root: Path, download: bool) -> Parts:
    from torchvision import datasets

    train, test = (getattr(datasets, kind)(root, train=part, download=download) for part in (True, False))
    images, held_out = train.data.transpose(0, 3, 1, 2), test.data.transpose(0, 3, 1, 2)
    return Parts((images, np.array(train.targets)), (held_out, np.array(test.targets)), tuple(train.classes))


def _svhn(root: Path, download: bool) -> Parts:
    from torchvision.datasets import SVHN

    train, test = (SVHN(root, split=part, download=download) for part in ("train", "test"))
    names = tuple(str(number) for number in range(10))
    return Parts((train.data, train.labels), (test.data, test.labels), names)


def _stl10(root: Path, download: bool) -> Parts:
    from torchvision.datasets import STL10

    train, test = (STL10(root, split=part, download=download) for part in ("train", "test"))
    return Parts((train.data, train.labels), (test.data, test.labels), tuple(train.classes))


def _celeba(root: Path, download: bool) -> tuple[Files, Layout]:
    from torchvision.datasets import CelebA

    names, labels, origin = list[str](), list[AnyArray](), list[AnyArray]()
    for split, part in ((TRAIN, "train"), (VALIDATION, "valid"), (TEST, "test")):
        dataset = CelebA(root, split=part, target_type="attr", download=download)
        names += dataset.filename
        labels.append(dataset.attr[:, dataset.attr_names.index("Male")].numpy())
        origin.append(np.full(len(dataset.filename), split, np.uint8))
    folder = root / "celeba" / "img_align_celeba"
    files = Files("celeba", names, [], lambda name: folder / name)
    return files, Layout(names, np.concatenate(labels).astype(np.int64), np.concatenate(origin), ("not male", "male"))


_ARRAYS: dict[str, Callable[[Path, bool], Parts]] = {
    "mnist": lambda root, download: _mnist("MNIST", root, download),
    "fashion-mnist": lambda root, download: _mnist("FashionMNIST", root, download),
    "cifar10": lambda root, download: _cifar("CIFAR10", root, download),
    "cifar100": lambda root, download: _cifar("CIFAR100", root, download),
    "svhn": _svhn,
    "stl10": _stl10,
}

# The name of each data set, and the files that make it whole.
TORCHVISION = {
    "mnist": "MNIST/raw/*-ubyte",
    "fashion-mnist": "FashionMNIST/raw/*-ubyte",
    "cifar10": "cifar-10-batches-py/",
    "cifar100": "cifar-100-python/",
    "svhn": "train_32x32.mat and test_32x32.mat",
    "stl10": "stl10_binary/",
    "celeba": "celeba/img_align_celeba/ with the five celeba/*.txt",
}


def _join(name: str, parts: Parts, config: DataConfig) -> Collection:
    pixels, labels = (np.concatenate(columns) for columns in zip(parts.train, parts.test, strict=True))
    return Collection(
        name=name,
        images=fit_array(pixels, size=config.resize, channels=config.channels),
        labels=labels.astype(np.int64),
        origin=np.repeat(np.array([TRAIN, TEST], np.uint8), [len(parts.train[1]), len(parts.test[1])]),
        classes=tuple(kind.replace("/", "-") for kind in parts.classes),
    )
