"""Every image of a source before it is split: what each kind of source is read into."""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from advgan.data.reading.pixels import Pixels

Labels = npt.NDArray[np.int64]
Origins = npt.NDArray[np.uint8]

TRAIN, VALIDATION, TEST, UNSPLIT = range(4)
SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "val", "valid", "dev", "eval", "evaluation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""Names of the splits in use, in lower case."""
_OF_WHAT = re.compile(r"[ _-]?(set|data|split|images?|imgs?|samples)$")
SHARES = (0.1, 0.2)  # validation and test


def split_of(word: str) -> int | None:
    """Tell which split a folder, a file or a cell means: `Test`, `testing`, `test_set`, `test-images`; None if none."""
    plain = word.strip().lower()
    return SPLIT_WORDS.get(plain, SPLIT_WORDS.get(_OF_WHAT.sub("", plain)))


class Labelled(Protocol):
    """The metadata of images before they are decoded: the label and the split (`origin`) of each."""

    @property
    def labels(self) -> Labels: ...
    @property
    def origin(self) -> Origins: ...
    @property
    def classes(self) -> tuple[str, ...]:
        """The class names; empty where the source does not label its images."""
        ...

    @property
    def unlabelled(self) -> str:
        """Why there are no classes, and what would make some, as the end of a sentence about the source."""
        ...

    @property
    def shares(self) -> tuple[float, float]:
        """How much to set aside for validation and for test where the source leaves that to us."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """Images as uint8 (N,C,H,W), with labels, class names and the split that the source gives to each.

    Without classes every label is 0, and `unlabelled` says why. `skipped` names the images that were left out, with
    why.
    """

    name: str
    images: Pixels
    labels: Labels
    origin: Origins
    classes: tuple[str, ...]
    shares: tuple[float, float] = SHARES
    skipped: tuple[str, ...] = ()
    unlabelled: str = ""

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
