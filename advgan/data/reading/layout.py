"""Find the classes and splits of an image source by its folders, or by a table of labels in it."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from advgan.data.reading.collection import SHARES, UNSPLIT, Labels, Origins, check_classes, split_of
from advgan.data.reading.files import Files
from advgan.data.reading.pixels import SUFFIXES
from advgan.data.reading.tables import said_by_tables
from advgan.harmless import printable

_WAY_OUT = "sort them into class folders, such as {}cat/ and {}dog/, or add labels.csv with the columns file and label"


class Layout(NamedTuple):
    """The image files in the order train, validation, test, sorted by class and name within each."""

    names: list[str]
    labels: Labels
    origin: Origins
    classes: tuple[str, ...]
    shares: tuple[float, float] = SHARES
    unlabelled: str = ""

    def keep(self, kept: npt.NDArray[np.bool_]) -> "Layout":
        """Keep the images where `kept` (N,) is true."""
        names = [name for name, stays in zip(self.names, kept, strict=True) if stays]
        return self._replace(names=names, labels=self.labels[kept], origin=self.origin[kept])


def read_layout(files: Files) -> Layout:
    """Read splits (`train/`, `test/`, and `validation/`, `val/` or `valid/`) and class folders, with either or without.

    A class is named by its folder and holds every image below it; classes are sorted as people count (2 before 10).
    Folders around the whole are looked through. Images beside the class folders have no label and are ignored. Images
    without class folders have the labels of a table beside them (see `said_by_tables`), or none.
    Raises ValueError where there are no images, a class folder is empty, or splits do not fit each other.
    """
    if not files.images:
        raise ValueError(f"{files.name} holds no images ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    tree = _Tree(files)
    root = _unwrap(tree)
    kinds = tree.children(root)
    splits = _splits(tree, root)
    if not splits:
        return _without_class_folders(tree) or _classes_alone(tree, root, kinds)
    sorted_by = next((splits[split] for split in sorted(splits) if tree.subfolders[splits[split]]), None)
    if sorted_by is None:
        return read_flat(files, {split: tree.below[folder] for split, folder in splits.items()})
    classes, parts = tree.children(sorted_by), []
    for split in sorted(splits):
        folder = splits[split]
        found = tree.children(folder)
        if not found:
            raise ValueError(
                f"{files.name}: {printable(folder)}/ holds no class folders, as {printable(sorted_by)}/ does: sort it "
                f"likewise, or give {printable(sorted_by)}/ alone"
            )
        unknown = [kind for kind in found if kind not in classes]
        if unknown:
            raise ValueError(
                f"{files.name}: {printable(folder)}/ has the class {printable(unknown[0])}, which "
                f"{printable(sorted_by)}/ lacks"
            )
        parts += [(split, classes.index(kind), f"{folder}/{kind}") for kind in found]
    return _arrange(tree, parts, classes)


def read_flat(files: Files, splits: dict[int, list[str]] | None = None) -> Layout:
    """Read images that are in no class folders: with the labels of a table beside them, or without.

    `splits` gives the images of each where folders do.
    """
    said, reason = said_by_tables(files)
    origin = {image: split for split, images in (splits or {}).items() for image in images}
    origin |= {image: what.split for image, what in said.items() if what.split is not None}
    classes = tuple(sorted({what.label for what in said.values()}, key=natural))
    check_classes(files.name, classes)
    number = {image: classes.index(what.label) for image, what in said.items()}
    rows = sorted((origin.get(name, UNSPLIT), number.get(name, 0), natural(name), name) for name in files.images)
    return Layout(
        [name for *_, name in rows],
        np.array([label for _, label, _, _ in rows], np.int64),
        np.array([split for split, *_ in rows], np.uint8),
        classes,
        unlabelled="" if classes else reason or _where(files),
    )


class _Tree:
    """The folders of a source, and the images below and directly in each."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.direct: dict[str, int] = {}
        self.subfolders: dict[str, set[str]] = {"": set()}
        self.below: dict[str, list[str]] = {"": []}
        for folder in files.folders:
            self._add(folder)
        for image in files.images:
            folder = image.rpartition("/")[0]
            self.direct[folder] = self.direct.get(folder, 0) + 1
            self._add(folder)
            while folder:
                self.below[folder].append(image)
                folder = folder.rpartition("/")[0]

    def _add(self, folder: str) -> None:
        while folder and folder not in self.below:
            parent, _, name = folder.rpartition("/")
            self.below[folder] = []
            self.subfolders.setdefault(folder, set())
            self.subfolders.setdefault(parent, set()).add(name)
            folder = parent

    def children(self, folder: str) -> list[str]:
        return sorted(self.subfolders[folder], key=natural)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: "2" before "10", "img9" before "img10"."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part) for part in parts if part)


def _unwrap(tree: _Tree) -> str:
    """Step into a folder that is alone, has no images of its own, and is no split: archives often have one."""
    root = ""
    while len(tree.subfolders[root]) == 1 and not tree.direct.get(root):
        (only,) = tree.subfolders[root]
        inner = _inside(root, only)
        if split_of(only) is not None or tree.direct.get(inner) or not tree.subfolders[inner]:
            break
        root = inner
    return root


def _splits(tree: _Tree, root: str) -> dict[int, str]:
    """Find the folders of the splits.

    A folder `train` with images directly in it is a class of that name, unless there are no folders but of splits.
    """
    kinds = tree.children(root)
    folders = {kind: _inside(root, kind) for kind in kinds if split_of(kind) is not None}
    flat = bool(kinds) and len(folders) == len(kinds) and not any(tree.subfolders[each] for each in folders.values())
    if not flat and not any(tree.subfolders[each] and not tree.direct.get(each) for each in folders.values()):
        return {}
    splits: dict[int, str] = {}
    for kind, folder in folders.items():
        split = split_of(kind)
        assert split is not None
        if split in splits:
            raise ValueError(f"{tree.files.name} has two folders for one split: {splits[split]}/ and {folder}/")
        splits[split] = folder
    return splits


def _without_class_folders(tree: _Tree) -> Layout | None:
    """The layout of images that lie in one place; None where folders name classes."""
    places = {name.rpartition("/")[0] for name in tree.files.images}
    if len(places) > 1:
        return None
    found = read_flat(tree.files)
    return found if found.classes or places == {""} else None


def _where(files: Files) -> str:
    places = sorted({name.rpartition("/")[0] for name in files.images})
    inside = [f"{printable(place)}/" if place else "it" for place in places[:3]]
    first = inside[0].removesuffix("it")
    way_out = _WAY_OUT.format(first, first)
    count = len(files.images)
    lie = "image lies" if count == 1 else "images lie"
    return f"{count:,} {lie} directly in {' and '.join(inside)}, without a label: {way_out}"


def _classes_alone(tree: _Tree, root: str, kinds: list[str]) -> Layout:
    beside = sum(count for folder, count in tree.direct.items() if folder == root)
    if beside and (len(kinds) == 1 or 2 * beside > len(tree.files.images)):
        raise ValueError(
            f"{tree.files.name} holds {beside:,} images beside folders of images, such as {printable(kinds[0])}/: name "
            "the folder that is meant, or move one of the two elsewhere"
        )
    folders = [_inside(root, kind) for kind in kinds]
    parts = _splits_in_classes(tree, folders) or [(UNSPLIT, label, folder) for label, folder in enumerate(folders)]
    return _arrange(tree, parts, kinds)


def _splits_in_classes(tree: _Tree, classes: list[str]) -> list[tuple[int, int, str]]:
    """The (split, label, folder) of cat/train/, cat/test/ and so on; none where the classes hold anything else."""
    if any(tree.direct.get(folder) for folder in classes):
        return []
    inner = [
        (split_of(each), label, _inside(folder, each))
        for label, folder in enumerate(classes)
        for each in tree.children(folder)
    ]
    parts = [(split, label, folder) for split, label, folder in inner if split is not None]
    return sorted(parts) if len(parts) == len(inner) else []


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _arrange(tree: _Tree, parts: Iterable[tuple[int, int, str]], classes: list[str]) -> Layout:
    """Collect the images of each (split, label, folder)."""
    check_classes(tree.files.name, tuple(classes))
    names, labels, origin = list[str](), list[int](), list[int]()
    for split, label, folder in parts:
        found = sorted(tree.below[folder], key=natural)
        if not found:
            raise ValueError(
                f"{tree.files.name}: the class folder {printable(folder)}/ holds no images; fill or delete it"
            )
        names += found
        labels += [label] * len(found)
        origin += [split] * len(found)
    return Layout(names, np.array(labels, np.int64), np.array(origin, np.uint8), tuple(classes))
