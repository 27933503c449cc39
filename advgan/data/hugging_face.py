"""Data sets of Hugging Face: from the hub by name, folders made by `save_to_disk`, and parquet files."""

import io
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from advgan.config import DataConfig
from advgan.data.downloading import quiet_and_patient
from advgan.data.reading.collection import UNSPLIT, check_classes, split_of
from advgan.data.reading.files import Files
from advgan.data.reading.folder import list_folder
from advgan.data.reading.gather import Check, Stored, decode_layout, decoding
from advgan.data.reading.layout import Layout, natural
from advgan.data.reading.store import stored
from advgan.data.reading.tables import LABEL_COLUMNS
from advgan.error_text import one_line
from advgan.harmless import printable
from advgan.intake.limits import growth_within, within
from advgan.intake.regular import at_home, check_regular, state

PREFIX = "hf:"
FORM = "hf:ORG/NAME, or hf:ORG/NAME:CONFIG@SPLIT"
_MARKS = ("dataset_dict.json", "state.json")
"""Files by which a folder made by `save_to_disk` is recognised."""
_IMAGES = ("image", "img", "images", "picture", "pixels")
_LABELS = (*LABEL_COLUMNS, "fine_label")


class _Parts(NamedTuple):
    """Splits by name, and the names of the image and label columns."""

    splits: dict[str, Any]
    image: str
    label: str | None


def is_by_name(source: str) -> bool:
    """Whether a source names a data set of the hub."""
    return source.startswith(PREFIX)


def is_hugging_face(source: str) -> bool:
    """Whether a source is by name, a folder that `save_to_disk` made, a parquet file, or a folder of them alone."""
    path = at_home(source)
    if is_by_name(source) or path.suffix.lower() == ".parquet" or any((path / mark).is_file() for mark in _MARKS):
        return True
    return path.is_dir() and bool(_parquet_files(path)) and not list_folder(path)[0].images


def read_hugging_face(config: DataConfig, *, cache: Path, workers: int, check: Check) -> Stored:
    """Read a data set through the library `datasets`, decoded once into the cache.

    The images are in the column of that type, the classes in one called label, class, target or the like. Splits called
    train, validation and test are kept. Raises ValueError in one line where the library or the data are not to be had,
    or have no images.
    """
    source = config.source
    states = [] if is_by_name(source) else _states(at_home(source))
    with _reading(source):
        parts = _parts(source, _open(source, cache / "hugging-face" / _named_by(states)))
    key = [
        "hugging-face",
        source,
        states,
        {name: part._fingerprint for name, part in parts.splits.items()},
        *decoding(config),
    ]
    name = re.sub(r"[^\w.-]+", "-", source.removeprefix(PREFIX).partition("@")[0].rstrip("/").rpartition("/")[2])

    def build(folder: Path) -> Any:
        with _reading(source):
            layout = _layout(source, parts)
        files = Files(source, layout.names, [], lambda member: _picture(parts, member))
        return decode_layout(files, layout, folder, config, name=name, workers=workers, check=check)

    return stored(cache, key, build)


def _open(source: str, cache: Path) -> Mapping[str, Any]:
    """The splits by name; one without a name is called all."""
    library, path = _library(source), at_home(source)
    if is_by_name(source):
        found = _by_name(library, source)
    elif any((path / mark).is_file() for mark in _MARKS):
        found = library.load_from_disk(str(path))
    else:
        given = _parquet_files(path) if path.is_dir() else [path]
        for file in given:
            _check_parquet(file)
        files = _by_split(given)
        found = library.load_dataset("parquet", data_files=files, cache_dir=str(cache))
    return found if isinstance(found, Mapping) else {str(found.split or "all"): found}


def _library(source: str) -> Any:
    try:
        return import_module("datasets")
    except ImportError:
        raise ValueError(f"{source} is read by the library datasets: pip install 'advgan[hf]'") from None


def _by_name(library: Any, source: str) -> Any:
    form = re.fullmatch(r"hf:([\w.-]+(?:/[\w.-]+)?)(?::([\w.-]+))?(?:@([\w.:%\[\]-]+))?", source)
    if form is None:
        raise ValueError(f"{source} is no name of a data set: write {FORM}")
    name, configuration, split = form.groups()
    try:
        return library.load_dataset(name, configuration, split=split)
    except Exception as error:  # the library, its hub client and the network raise many kinds
        raise ValueError(
            f"{source} is not in the cache of the library datasets and cannot be downloaded ({one_line(error)}): where "
            f"there is a network, datasets.load_dataset({name!r}).save_to_disk('DIR') makes a folder to give as --data"
        ) from None


def _parquet_files(folder: Path) -> list[Path]:
    """In a folder, or in the subfolders of a repository of the hub."""
    return sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet"))


def _check_parquet(file: Path) -> None:
    """Refuse a file that says of itself that it unpacks to more than the limits allow; it is unpacked to the disk."""
    check_regular(file)
    with import_module("pyarrow.parquet").ParquetFile(file) as opened:
        about = opened.metadata
    within("members", about.num_rows, what=file)
    groups = (about.row_group(number) for number in range(about.num_row_groups))
    growth_within(sum(group.total_byte_size for group in groups), file.stat().st_size, what=file)


def _states(path: Path) -> list[tuple[str, list[int]]]:
    """What tells that the files of a source have changed; the library itself looks at names and times alone."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [(file.relative_to(path).as_posix(), state(file.stat())) for file in files]


def _named_by(states: object) -> str:
    return sha256(json.dumps(states).encode()).hexdigest()[:16]


def _by_split(files: Iterable[Path]) -> dict[str, list[str]]:
    """Files by the split that their name begins with, as in train-00000-of-00002.parquet, or their folder has."""
    found: dict[str, list[str]] = {}
    for file in files:
        word = re.split(r"[-_.]", file.stem.lower())[0]
        words = [each for each in (word, file.parent.name.lower()) if split_of(each) is not None]
        found.setdefault(words[0] if words else "whole", []).append(str(file))
    return found


def _parts(source: str, splits: Mapping[str, Any]) -> _Parts:
    """The known splits, or where there are none all; the column of images undecoded."""
    known = {name: part for name, part in splits.items() if split_of(_word(name)) is not None} or dict(splits)
    features = next(iter(known.values())).features
    image = next((name for name in _ordered(features, _IMAGES) if _holds_images(features[name])), None)
    if image is None:
        raise ValueError(f"{source} has no column of images: it has {', '.join(map(printable, features))}")
    label = next(
        (name for name in _ordered(features, _LABELS) if name != image and _holds_classes(name, features)), None
    )
    undecoded = import_module("datasets").Image(decode=False)
    return _Parts({name: part.cast_column(image, undecoded) for name, part in known.items()}, image, label)


def _ordered(features: Iterable[str], first: Sequence[str]) -> list[str]:
    """Columns of known names before the others."""
    return sorted(features, key=lambda name: first.index(name.lower()) if name.lower() in first else len(first))


def _holds_images(feature: Any) -> bool:
    if type(feature).__name__ == "Image":
        return True
    return isinstance(feature, Mapping) and set(feature) == {"bytes", "path"}


def _holds_classes(name: str, features: Mapping[str, Any]) -> bool:
    """A column of classes by its type, or by its name where it holds words or whole numbers."""
    kind = str(getattr(features[name], "dtype", ""))
    if type(features[name]).__name__ == "ClassLabel":
        return True
    return name.lower() in _LABELS and kind.startswith(("int", "uint", "string", "large_string", "bool"))


def _layout(source: str, parts: _Parts) -> Layout:
    """One name for each row, `split/number`, in the order of the splits."""
    origin = {name: UNSPLIT if (split := split_of(_word(name))) is None else split for name in parts.splits}
    order = sorted(parts.splits, key=lambda name: (origin[name], name))
    sizes = [len(parts.splits[name]) for name in order]
    said, reason = _said(parts, order)
    classes = tuple(sorted(set(said), key=natural)) if said else ()
    named = _names(parts) if said else ()
    classes = named or classes
    check_classes(source, classes)
    numbers = {kind: number for number, kind in enumerate(classes)}
    return Layout(
        [f"{name}/{row}" for name, size in zip(order, sizes, strict=True) for row in range(size)],
        np.array([numbers[kind] for kind in said] if said else np.zeros(sum(sizes)), np.int64),
        np.repeat(np.array([origin[name] for name in order], np.uint8), sizes),
        classes,
        unlabelled=reason,
    )


def _said(parts: _Parts, order: Sequence[str]) -> tuple[list[str], str]:
    """The class of each row in words; or nothing, and why."""
    if parts.label is None:
        columns = ", ".join(printable(name) for name in next(iter(parts.splits.values())).column_names)
        return [], f"no column is called label or holds classes: it has {columns}"
    names, said = _names(parts), list[str]()
    for name in order:
        column = list(parts.splits[name][parts.label])
        missing = sum(value is None or (not isinstance(value, str) and value < 0) for value in column)
        if missing:
            return [], f"its split {name} has no {parts.label} for {missing:,} of {len(column):,} images: name another"
        said += [names[value] for value in column] if names else [str(value).replace("/", "-") for value in column]
    return said, ""


def _names(parts: _Parts) -> tuple[str, ...]:
    """The classes that the column itself names."""
    feature = next(iter(parts.splits.values())).features[parts.label]
    return tuple(str(kind).replace("/", "-") for kind in getattr(feature, "names", None) or ())


def _picture(parts: _Parts, member: str) -> Path | IO[bytes]:
    split, _, row = member.rpartition("/")
    cell = parts.splits[split][int(row)][parts.image] or {}
    if cell.get("bytes") is not None:
        return io.BytesIO(cell["bytes"])
    if cell.get("path"):
        return Path(cell["path"])
    raise ValueError("is missing")


def _word(split: str) -> str:
    """`train` for the slice train[:10%]."""
    return split.partition("[")[0].lower()


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Keep the library quiet, and say in one line what it found wrong."""
    try:
        with warnings.catch_warnings(), quiet_and_patient():
            warnings.simplefilter("ignore")
            yield
    except ValueError as error:
        raise ValueError(str(error) if source in str(error) else f"{source}: {one_line(error)}") from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{source} is damaged or no data set of Hugging Face ({one_line(error)})") from None
