"""Every image of a source before it is split: what each kind of source is read into."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from advgan.data.pixels import Pixels

Labels = npt.NDArray[np.int64]

TRAIN, VALIDATION, TEST, UNSPLIT = range(4)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """Images as uint8 (N,C,H,W), with labels, class names and the split that the source gives to each (its `origin`).

    `validation_share` and `test_share` say how much to set aside where the source leaves that to us. `skipped` names
    the images that were left out, with why.
    """

    name: str
    images: Pixels
    labels: Labels
    origin: npt.NDArray[np.uint8]
    classes: tuple[str, ...]
    validation_share: float = 0.1
    test_share: float = 0.2
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8
        assert self.images.ndim == 4
        assert len(self.images) == len(self.labels) == len(self.origin)


def check_classes(name: str, classes: tuple[str, ...]) -> None:
    """Refuse class names that could not be folders: a data set is written as class folders sooner or later."""
    for kind in classes:
        if not kind.strip() or not kind.isprintable() or kind in (".", "..") or "/" in kind or "\\" in kind:
            raise ValueError(f"{name}: {kind!r} cannot be the name of a class; use printable names without slashes")
    if len(set(classes)) < len(classes):
        twice = next(kind for kind in classes if classes.count(kind) > 1)
        raise ValueError(f"{name}: two classes are both called {twice!r}")
