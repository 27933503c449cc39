"""The classes requested of a conditional generator: independent draws with the class frequencies of the reference."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from advgan.data import Data
from advgan.data.class_names import is_numbered
from advgan.sampling.classes import draw_classes


class Shares(NamedTuple):
    """How many images of each class a set has."""

    name: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, data: Data) -> "Shares":
        """Those of the training images."""
        return cls(f"{data.name}/train", data.classes, data.train.class_counts)


class Asked(NamedTuple):
    """The distribution of the classes requested of a generator."""

    counts: tuple[int, ...]
    words: str

    def labels(self, numbers: Tensor, seed: int) -> Tensor:
        """The classes of samples: that of sample k is a function of the seed and k alone."""
        return draw_classes(self.counts, numbers, seed=seed)


def asked_of(classes: Sequence[str], *, like: Shares | None, own: Sequence[int] | None) -> Asked:
    """Choose class frequencies: those of the real images, else of the generator's training data, else uniform.

    Classes are matched by name, or by number where the generator's are unnamed. Classes that the real images lack are
    not requested.
    """
    counts = _matched(classes, like) if like else None
    if like and counts:
        return Asked(counts, f"classes drawn independently in the shares of {like.name}")
    if own and len(own) == len(classes) and sum(own):
        return Asked(tuple(own), "classes drawn independently in the shares of its training data")
    return Asked((1,) * len(classes), "classes drawn independently, each as likely: the shares of its data are unknown")


def _matched(classes: Sequence[str], like: Shares) -> tuple[int, ...] | None:
    known = dict(zip(like.classes, like.counts, strict=True))
    if not known.keys() & set(classes) and len(classes) == len(like.classes) and is_numbered(classes):
        return like.counts
    counts = tuple(known.get(name, 0) for name in classes)
    return counts if sum(counts) else None
