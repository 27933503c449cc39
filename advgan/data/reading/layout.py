"""What the folders of an image source mean: classes, and splits where it brings them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from advgan.data.reading.collection import (
    SHARES,
    SPLITS,
    TEST,
    TRAIN,
    UNSPLIT,
    VALIDATION,
    Labels,
    Origins,
    check_classes,
)
from advgan.data.reading.files import Files, printable
from advgan.data.reading.pixels import SUFFIXES

_SPLIT_OF = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "valid": VALIDATION, "test": TEST}


class Layout(NamedTuple):
    """The image files in the order train, validation, test, each by class and name, with what their folders say."""

    names: list[str]
    labels: Labels
    origin: Origins
    classes: tuple[str, ...]
    shares: tuple[float, float] = SHARES

    def keep(self, kept: npt.NDArray[np.bool_]) -> "Layout":
        """Leave out the others."""
        names = [name for name, stays in zip(self.names, kept, strict=True) if stays]
        return self._replace(names=names, labels=self.labels[kept], origin=self.origin[kept])


def read_layout(files: Files) -> Layout:
    """Read `train/` and `test/` (and `validation/`, `val/` or `valid/`) of class folders, or class folders alone.

    A class is named by its folder and holds every image below it; classes are sorted as people count (2 before 10).
    Folders around the whole are looked through. Images beside the class folders have no label and are ignored.
    Raises ValueError where a split is missing, a class folder is empty, or there are no class folders.
    """
    tree = _Tree(files)
    root = _unwrap(tree)
    splits = _splits(tree, root)
    if not splits:
        return _classes_alone(tree, root)
    _check_splits(files, splits)
    classes = tree.children(splits[TRAIN])
    parts = []
    for split in sorted(splits):
        folder = splits[split]
        found = tree.children(folder)
        if not found:
            raise ValueError(f"{files.name}: {printable(folder)}/ holds no class folders")
        unknown = [kind for kind in found if kind not in classes]
        if unknown:
            raise ValueError(
                f"{files.name}: {printable(folder)}/ has the class {printable(unknown[0])}, which "
                f"{printable(splits[TRAIN])}/ lacks"
            )
        parts += [(split, classes.index(kind), f"{folder}/{kind}") for kind in found]
    return _arrange(tree, parts, classes)


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
        inner = f"{root}/{only}" if root else only
        if only.lower() in _SPLIT_OF or tree.direct.get(inner) or not tree.subfolders[inner]:
            break
        root = inner
    return root


def _splits(tree: _Tree, root: str) -> dict[int, str]:
    """Find the folders of the splits. A folder `train` with images directly in it is a class of that name."""
    folders = {kind: f"{root}/{kind}" if root else kind for kind in tree.children(root) if kind.lower() in _SPLIT_OF}
    if not any(tree.subfolders[folder] and not tree.direct.get(folder) for folder in folders.values()):
        return {}
    splits: dict[int, str] = {}
    for kind, folder in folders.items():
        split = _SPLIT_OF[kind.lower()]
        if split in splits:
            raise ValueError(f"{tree.files.name} has two folders for one split: {splits[split]}/ and {folder}/")
        splits[split] = folder
    return splits


def _check_splits(files: Files, splits: dict[int, str]) -> None:
    for needed in (TRAIN, TEST):
        if needed not in splits:
            found = " and ".join(f"{printable(folder)}/" for folder in splits.values())
            raise ValueError(
                f"{files.name} has {found} but no {SPLITS[needed]}/; add it, "
                "or give class folders without splits, which are then split by seed"
            )


def _classes_alone(tree: _Tree, root: str) -> Layout:
    files, kinds = tree.files, tree.children(root)
    if kinds and all(kind.lower() in _SPLIT_OF for kind in kinds) and files.images:
        raise ValueError(
            f"{files.name}: the images lie directly in {printable(kinds[0])}/, without a label; "
            f"sort them into class folders, such as {printable(kinds[0])}/cat/"
        )
    if not kinds and files.images:
        raise ValueError(
            f"{files.name}: {len(files.images):,} images lie directly in it, without a label; "
            "sort them into class folders, such as cat/ and dog/"
        )
    if not files.images:
        raise ValueError(f"{files.name} holds no images ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    parts = [(UNSPLIT, label, f"{root}/{kind}" if root else kind) for label, kind in enumerate(kinds)]
    return _arrange(tree, parts, kinds)


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
