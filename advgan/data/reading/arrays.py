"""Check named arrays, as `.npz` and `.pt` files hold them, and convert images to uint8 (N,C,H,W)."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from advgan.data.reading.collection import (
    TEST,
    TRAIN,
    UNSPLIT,
    VALIDATION,
    Collection,
    Labels,
    check_classes,
)
from advgan.data.reading.pixels import Pixels
from advgan.ranges import to_bytes

AnyArray = npt.NDArray[Any]

_TOLERANCE = 1e-5  # by which float images may leave [0, 1], for the rounding of what made them
_HIGHEST_LABEL = 1_000_000
_CONVERTED_AT_ONCE = 1024  # images


class _Keys(NamedTuple):
    origin: int
    images: str
    labels: str


# How tools name their arrays: each line is one convention, and a file follows the first whose keys it has.
CONVENTIONS = (
    (_Keys(UNSPLIT, "images", "labels"),),
    (_Keys(UNSPLIT, "arr_0", "arr_1"),),
    (_Keys(UNSPLIT, "adv_inputs", "labels"),),
    (_Keys(TRAIN, "x_train", "y_train"), _Keys(VALIDATION, "x_val", "y_val"), _Keys(TEST, "x_test", "y_test")),
    (
        _Keys(TRAIN, "train_images", "train_labels"),
        _Keys(VALIDATION, "val_images", "val_labels"),
        _Keys(TEST, "test_images", "test_labels"),
    ),
)


def arrays_to_collection(source: str, name: str, arrays: Mapping[str, AnyArray]) -> Collection:
    """Check named arrays and join them; `classes`, where it is among them, holds the names of the classes.

    Images are (N,H,W,C), (N,C,H,W) or (N,H,W), with 1 or 3 channels, as uint8 or as floats in [0, 1], which are rounded
    to 8 bits. Labels are whole numbers from 0, (N,) or (N,1); without any there are no classes. Raises ValueError,
    naming the source and the array.
    """
    parts = _parts(source, arrays)
    images = [to_pixels(f"{source}: {keys.images}", arrays[keys.images]) for keys in parts]
    labelled = parts[0].labels in arrays
    labels = [
        to_labels(f"{source}: {keys.labels}", arrays[keys.labels]) if labelled else np.zeros(len(pixels), np.int64)
        for keys, pixels in zip(parts, images, strict=True)
    ]
    for keys, pixels, numbers in zip(parts, images, labels, strict=True):
        if len(pixels) != len(numbers):
            raise ValueError(
                f"{source}: {keys.images} has {len(pixels):,} images but {keys.labels} has {len(numbers):,} labels"
            )
        if pixels.shape[1:] != images[0].shape[1:]:
            shapes = f"{_shown(images[0])} and {keys.images} {_shown(pixels)}"
            raise ValueError(f"{source}: {parts[0].images} holds {shapes}; they must be alike")
    joined = np.concatenate(labels)
    origin = [np.full(len(numbers), keys.origin, np.uint8) for keys, numbers in zip(parts, labels, strict=True)]
    return Collection(
        name=name,
        images=images[0] if len(images) == 1 else np.concatenate(images),
        labels=joined,
        origin=np.concatenate(origin),
        classes=_classes(source, arrays, joined) if labelled else (),
        unlabelled=""
        if labelled
        else f"it holds {parts[0].images} without labels: save them with it as {parts[0].labels}",
    )


def _parts(source: str, arrays: Mapping[str, AnyArray]) -> list[_Keys]:
    """Find the convention that the arrays follow, one with labels before one without."""
    for with_labels in (True, False):
        for convention in CONVENTIONS:
            parts = [keys for keys in convention if keys.images in arrays]
            if not parts or any(keys.labels in arrays for keys in parts) != with_labels:
                continue
            for keys in parts:
                if with_labels and keys.labels not in arrays:
                    raise ValueError(f"{source} has {keys.images} but no {keys.labels}")
            return parts
    found = ", ".join(sorted(arrays)) or "nothing"
    raise ValueError(
        f"{source} must hold images, with labels or without (or x_train, y_train, x_test and y_test); it holds {found}"
    )


def to_pixels(what: str, images: AnyArray) -> Pixels:
    """Bring an array of images to uint8 (N,C,H,W)."""
    if images.size == 0:
        raise ValueError(f"{what} holds no images")
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{what} has {images.ndim} dimensions {images.shape}; images are (N,H,W,C), (N,C,H,W) or (N,H,W)"
        )
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[3] in (1, 3) and (images.shape[1] not in (1, 3) or images.shape[1] == images.shape[2]):
        images = images.transpose(0, 3, 1, 2)
    if images.shape[1] not in (1, 3):
        raise ValueError(f"{what} has the shape {images.shape}; 1 or 3 channels are needed, second or last")
    return np.ascontiguousarray(_to_bytes(what, images))


def _to_bytes(what: str, images: AnyArray) -> Pixels:
    if images.dtype == np.uint8:
        return images.astype(np.uint8, copy=False)
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{what} has the type {images.dtype}; images are uint8 in 0..255, or floats in [0, 1]")
    low, high = float(images.min()), float(images.max())  # NaN where any value is
    if math.isnan(low):
        raise ValueError(f"{what} holds NaN")
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise ValueError(f"{what} runs from {low:.4g} to {high:.4g}, floats must be in [0, 1]; {_way_back(low, high)}")
    pixels = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _CONVERTED_AT_ONCE):
        chunk = images[start : start + _CONVERTED_AT_ONCE].astype(np.float32)
        pixels[start : start + _CONVERTED_AT_ONCE] = to_bytes(torch.from_numpy(chunk)).numpy()
    return pixels


def _way_back(low: float, high: float) -> str:
    if low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE:
        return "give (images + 1) / 2"
    if low >= 0 and high <= 255:
        return "give images / 255"
    return "undo the normalisation: images * std + mean"


def to_labels(what: str, labels: AnyArray) -> Labels:
    """Bring an array of labels to int64 (N,)."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{what} has the shape {labels.shape}; one label an image is needed, (N,)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} has the type {labels.dtype}; labels are whole numbers, counted from 0")
    outside = labels[(labels < 0) | (labels > _HIGHEST_LABEL)]
    if len(outside):
        raise ValueError(f"{what} has the label {outside[0]}, outside the range; labels are counted from 0")
    return labels.astype(np.int64)


def _classes(source: str, arrays: Mapping[str, AnyArray], labels: Labels) -> tuple[str, ...]:
    """Take the class names from the array `classes`, else name them by number; then every number needs an image."""
    highest = int(labels.max())
    if "classes" in arrays:
        names = arrays["classes"].ravel().tolist()
        classes = tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)
        check_classes(source, classes)
        if highest >= len(classes):
            raise ValueError(f"{source}: the label {highest} is outside the range, classes names {len(classes)} from 0")
        return classes
    present = np.unique(labels)
    if len(present) <= highest:
        missing = int(np.setdiff1d(np.arange(len(present) + 1), present)[0])
        raise ValueError(
            f"{source}: labels run from {present[0]} to {highest}, but no image has label {missing}; "
            "number the classes from 0 without gaps, or name all of them in an array called classes"
        )
    return tuple(str(number) for number in range(highest + 1))


def _shown(images: Pixels) -> str:
    return f"{images.shape[3]}x{images.shape[2]} images with {images.shape[1]} channel(s)"
