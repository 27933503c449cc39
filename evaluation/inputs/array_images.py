"""Images in arrays: `.npz`, `.npy` and `.pt` files, tensors and numpy arrays, with labels or without."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from advgan.config import DataConfig
from advgan.data import ImageSet
from advgan.data.reading.array_files import READERS
from advgan.data.reading.arrays import AnyArray, arrays_to_collection, to_labels, to_pixels
from advgan.data.reading.pixels import fit_array
from advgan.data.split import rows_to_learn
from evaluation.inputs.source import Rounding
from evaluation.inputs.statistics import Statistics, is_statistics, read_statistics
from evaluation.inputs.stored import Found

_KEYS = (("images", "labels"), ("arr_0", "arr_1"), ("adv_inputs", "labels"))
_MEASURED = 256
"""Images in which different values are counted."""
_OFF_LEVEL = 1e-3
"""Of a grey level: what the division by 255 leaves."""


def read_array_file(path: Path, config: DataConfig, *, name: str, points: bool) -> Found | Statistics:
    """Read a file of arrays; an `.npz` of `mu` and `sigma` without images is `Statistics`.

    Raises ValueError in one line where it is damaged, could run code, or holds no images.
    """
    arrays = READERS[path.suffix.lower()](path)
    if is_statistics(arrays):
        return read_statistics(path, name=name)
    return _named(path, arrays, config, points=points)


def found_array(
    what: str, images: AnyArray, labels: AnyArray | None, config: DataConfig, *, points: bool = False
) -> Found:
    """Check an array of images with its labels, if any.

    Images are (N,H,W,C), (N,C,H,W) or (N,H,W), uint8 or float in [0, 1], rounded to 8 bits; points are (N,D) or images
    of one pixel. Raises ValueError, naming `what`.
    """
    numbers = None if labels is None else to_labels(f"{what}: labels", labels)
    if numbers is not None and len(numbers) != len(images):
        raise ValueError(f"{what} has {len(images):,} images but {len(numbers):,} labels: give one each")
    pixels = _points(what, images) if points else _pixels(what, images, config)
    count = 0 if numbers is None else int(numbers.max()) + 1
    known = torch.from_numpy(np.zeros(len(pixels), np.int64) if numbers is None else numbers)
    classes = tuple(str(number) for number in range(count))
    rounding = None if points or images.dtype == np.uint8 else rounding_of(images)
    found = ImageSet(pixels, known, classes, Path(what).name)
    return Found(found, numbers is not None, named=False, rounding=rounding)


def rounding_of(images: AnyArray) -> Rounding:
    """How much of float images lies between grey levels, in the first of them."""
    levels = images[:_MEASURED].astype(np.float64) * 255
    whole = levels.round()
    off = np.abs(levels - whole) > _OFF_LEVEL
    before = len(np.unique((levels / _OFF_LEVEL).round()))
    return Rounding(float(off.mean()), before, len(np.unique(whole)))


def _named(path: Path, arrays: dict[str, AnyArray], config: DataConfig, *, points: bool) -> Found:
    for images, labels in _KEYS:
        if images in arrays and (labels in arrays or images != "adv_inputs"):
            found = found_array(f"{path}", arrays[images], arrays.get(labels), config, points=points)
            return _with_names(path, found, arrays)
    if not any(key.startswith(("x_", "train_", "test_", "val_")) for key in arrays):
        held = ", ".join(sorted(arrays)) or "nothing"
        raise ValueError(f"{path} holds no images: name the array images or arr_0 (it holds {held})")
    collection = arrays_to_collection(str(path), path.stem, arrays)
    rows = rows_to_learn(collection.origin)
    pixels = torch.from_numpy(_square(str(path), collection.images[rows], config))
    labels_of_rows = torch.from_numpy(collection.labels[rows])
    labelled = len(collection.classes) > 0
    return Found(ImageSet(pixels, labels_of_rows, collection.classes, collection.name), labelled, named=labelled)


def _with_names(path: Path, found: Found, arrays: dict[str, AnyArray]) -> Found:
    if not found.labelled or "classes" not in arrays:
        return found
    names = arrays["classes"].ravel().tolist()
    classes = tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)
    if found.images.num_classes > len(classes):
        highest = found.images.num_classes - 1
        raise ValueError(f"{path}: the label {highest} is outside the range, classes names {len(classes)} from 0")
    images = found.images
    return found._replace(images=ImageSet(images.images, images.labels, classes, images.name), named=True)


def _pixels(what: str, images: AnyArray, config: DataConfig) -> Tensor:
    return torch.from_numpy(_square(what, to_pixels(what, images), config))


def _square(what: str, pixels: AnyArray, config: DataConfig) -> AnyArray:
    height, width = pixels.shape[2:]
    if config.resize is None and height != width:
        raise ValueError(
            f"{what}: images must be square, these are {width}x{height}; --resize {min(height, width)} takes the "
            "middle square of each"
        )
    return fit_array(pixels, size=config.resize, channels=config.channels)


def _points(what: str, images: AnyArray) -> Tensor:
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{what} has the type {images.dtype}: points are float, where 0 to 1 is the range of the data")
    flat = images.reshape(len(images), -1).astype(np.float32)
    if images.ndim not in (2, 4) or flat.shape[1] != max(images.shape[1:]):
        raise ValueError(f"{what} has the shape {images.shape}: points are (N, D), (N, D, 1, 1) or (N, 1, 1, D)")
    if not np.isfinite(flat).all():
        raise ValueError(f"{what} holds NaN or infinity")
    return torch.from_numpy(flat)[:, :, None, None]
