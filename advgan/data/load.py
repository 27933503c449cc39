"""Load images by the name of their source; all data is read through this file."""

import difflib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from advgan.config import DataConfig
from advgan.data.class_names import matched_numbers
from advgan.data.digits import read_digits
from advgan.data.hugging_face import is_by_name, is_hugging_face, read_hugging_face
from advgan.data.imageset import Data, ImageSet
from advgan.data.points import POINTS, draw_points
from advgan.data.reading.archive import SUFFIXES, is_archive
from advgan.data.reading.array_files import READERS
from advgan.data.reading.arrays import arrays_to_collection
from advgan.data.reading.collection import SPLITS, Collection, Labels
from advgan.data.reading.files import is_table
from advgan.data.reading.gather import Check, gather_archive, gather_folder
from advgan.data.reading.pixels import fit_array, is_image
from advgan.data.reading.store import take
from advgan.data.split import roles, rows_to_learn, split_rows
from advgan.data.stacked import PREFIX, stack_digits
from advgan.data.torchvision_sets import TORCHVISION, read_torchvision
from advgan.data.uses import LEARNING, Use
from advgan.intake.regular import at_home, check_regular
from advgan.storage.cache import cache_dir

KNOWN = ("digits", *TORCHVISION, *POINTS)


def load_data(config: DataConfig, *, workers: int = 0, cache: Path | None = None, use: Use = LEARNING) -> Data:
    """Read a source and split it into train, validation and test.

    `digits` and the names of torchvision come before a path of the same name (write ./mnist for that). Splits that the
    source brings are kept; validation images stand in for missing test images, a missing validation split is a
    stratified tenth of the training images, or as `config.validation` says, and a source without splits, or with
    training images alone, is divided 70/10/20. Points and stacked digits are drawn anew each time.
    `use` says what the source must have: a Data without classes has labels 0, and one of test images alone has empty
    splits beside them.
    `workers` threads decode image files, into `cache` (None: `cache_dir()`), so the second time they are only mapped or
    read.
    Raises ValueError, in one line with the way out, for whatever is wrong with the source.
    """
    drawn = _draw(config, workers=workers, cache=cache)
    if drawn:
        return drawn
    split = partial(split_rows, seed=config.seed, source=config.source, validation=config.validation, use=use)
    collection, folder = _collect(config, workers=workers, cache=cache, check=split)
    aside = "" if config.validation is None else f"-{config.validation:g}"
    train, validation, test = (
        _image_set(collection, chosen, folder, part=f"{part}-{config.seed}{aside}")
        for part, chosen in zip(SPLITS, split(collection), strict=True)
    )
    notes = [roles(collection.origin, source=config.source, use=use)[1], _shadow(config.source)]
    return Data(collection.name, train, validation, test, collection.skipped, note="; ".join(filter(None, notes)))


def _shadow(source: str) -> str:
    """Say which path of the user has the name of a known data set."""
    path = Path(source)
    there = source.lower() in KNOWN and os.path.exists(path)
    return f"not what lies here under that name: that is .{os.sep}{path}" if there else ""


def _draw(config: DataConfig, *, workers: int, cache: Path | None) -> Data | None:
    """Draw points or stacked digits, where the source names them; else None."""
    name = config.source.lower()
    if config.validation is not None and (name in POINTS or name.startswith(PREFIX)):
        raise ValueError(f"data.validation {config.validation:g}: {config.source} is drawn anew; leave it out")
    if name in POINTS:
        if config.resize is not None or config.channels is not None:
            raise ValueError(f"{config.source}: points have neither size nor colour: leave resize and channels out")
        return draw_points(name, seed=config.seed, count=config.count)
    if name.startswith(PREFIX):
        parts = config.model_copy(update={"source": config.source[len(PREFIX) :], "count": None})
        digits = load_data(parts, workers=workers, cache=cache)
        return stack_digits(digits, source=config.source, seed=config.seed, count=config.count)
    if config.count is not None:
        raise ValueError(f"data.count {config.count}: only points and stacks are drawn, {config.source} is not")
    return None


def load_extra(config: DataConfig, *, like: ImageSet, workers: int = 0, cache: Path | None = None) -> ImageSet:
    """Read further training images for `like`: all of a source, or its training split where it has splits.

    Classes are matched by name; plain numbers 0, 1, ... also match by number, where there are as many. Raises
    ValueError where a class is unknown or the images have another size or number of channels.
    """
    extra = load_images(config, workers=workers, cache=cache)
    if extra.images.shape[1:] != like.images.shape[1:]:
        raise ValueError(
            f"{config.source}: images have {extra.channels} channel(s) and {extra.size}x{extra.size} pixels, those of "
            f"{like.name} {like.channels} and {like.size}x{like.size}; set resize and channels of the extra images"
        )
    if not extra.classes:
        raise ValueError(
            f"{config.source}: extra images need a class each: sort them into class folders, or add labels"
        )
    numbers = matched_numbers(extra.classes, like.classes, what=config.source, of=like.name or "the data")
    return extra.renumbered(numbers, like.classes)


def load_images(config: DataConfig, *, workers: int = 0, cache: Path | None = None) -> ImageSet:
    """Read a source as one set: its training split where it has one, else all of it; without classes labels are 0."""
    drawn = _draw(config, workers=workers, cache=cache)
    if drawn:
        return drawn.train
    collection, folder = _collect(config, workers=workers, cache=cache, check=lambda _: None)
    return _image_set(collection, rows_to_learn(collection.origin), folder, part="extra")


def _collect(config: DataConfig, *, workers: int, cache: Path | None, check: Check) -> tuple[Collection, Path | None]:
    """Read a source whole; also the folder of the cache that holds it, if one does."""
    cache, name = cache or cache_dir(), config.source.lower()
    if name == "digits":
        return _fitted(read_digits(), config), None
    if name in TORCHVISION:
        return read_torchvision(name, config, cache=cache, workers=workers, check=check)
    path = at_home(config.source)
    if not is_by_name(config.source):
        _check_readable(config.source, path)
    if is_hugging_face(config.source):
        return read_hugging_face(config, cache=cache, workers=workers, check=check)
    if path.is_dir():
        return gather_folder(path, config, cache=cache, workers=workers, check=check)
    if is_archive(path):
        return gather_archive(path, config, cache=cache, workers=workers, check=check)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        inside = "give the folder that it lies in" if is_table(path.name) or is_image(path.name) else "give a folder"
        raise ValueError(
            f"{config.source} is no source of images: {inside}, {', '.join(SUFFIXES)}, .npz, .npy, .pt, .parquet, "
            f"hf:ORG/NAME or one of {', '.join(KNOWN)}"
        )
    return _fitted(arrays_to_collection(str(path), path.stem, reader(path)), config), None


def _fitted(collection: Collection, config: DataConfig) -> Collection:
    """Bring arrays to the wanted size and channels."""
    height, width = collection.images.shape[2:]
    if config.resize is None and height != width:
        raise ValueError(
            f"{config.source}: images must be square, these are {width}x{height}; "
            f"--resize {min(height, width)} takes the middle square of each"
        )
    return replace(collection, images=fit_array(collection.images, size=config.resize, channels=config.channels))


def _image_set(collection: Collection, rows: Labels, folder: Path | None, *, part: str) -> ImageSet:
    images = take(collection, rows, folder=folder, part=part)
    return ImageSet(images, torch.from_numpy(collection.labels[rows]), collection.classes, collection.name)


def _check_readable(source: str, path: Path) -> None:
    if not os.path.exists(path):  # unlike Path.exists, this is False for a name that is too long
        near = _near(source, path)
        raise ValueError(
            f"no data at {source}" + (f" (did you mean {near}?)" if near else "")
            + f"; give a path or one of {', '.join(KNOWN)}"
        )  # fmt: skip
    if not path.is_dir():
        check_regular(path, what=source)
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(f"cannot read {source} ({error.strerror})") from None


def _near(source: str, path: Path) -> str | None:
    """Find a known name, or a neighbour of the missing path, that is spelt nearly so."""
    known = difflib.get_close_matches(source.lower(), KNOWN, n=1)
    if known:
        return known[0]
    try:
        neighbours = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    names = difflib.get_close_matches(path.name, neighbours, n=1)
    return str(path.parent / names[0]) if names else None
