"""The two types of loaded data: `ImageSet`, labelled images in memory, and `Data`, the three splits of a source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from advgan.data.class_names import matched_numbers
from advgan.ranges import to_unit
from attacks.random import permutation

_HASHED_AT_ONCE = 1 << 26  # bytes, so that a memory-mapped set is never in memory whole


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Square images as uint8 (N,C,H,W), their int64 labels (N,), and the names of the classes.

    Images of one pixel may also be float32, where 0 to 1 is the range of the data: points, with a coordinate a channel.
    The images may lie in a memory-mapped file; writing to them changes neither that file nor another set.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str = ""

    def __post_init__(self) -> None:
        assert self.images.ndim == 4
        assert self.images.dtype == torch.uint8 or self.are_points
        assert self.images.shape[2] == self.images.shape[3]
        assert self.labels.dtype == torch.int64
        assert self.labels.shape == self.images.shape[:1]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def are_points(self) -> bool:
        """Whether these are float32 points, not pictures."""
        return self.images.dtype == torch.float32 and self.images.shape[2:] == (1, 1)

    @property
    def size(self) -> int:
        """Side of the square in pixels."""
        return self.images.shape[2]

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def has_classes(self) -> bool:
        """Whether there are at least two classes, so that a classifier can be trained."""
        return len(self.classes) > 1

    @property
    def class_counts(self) -> tuple[int, ...]:
        """How many images of each class there are."""
        return tuple(self.labels.bincount(minlength=self.num_classes).tolist())

    @cached_property
    def digest(self) -> str:
        """Name the content: the first 12 hex digits of the SHA-256 over shape, classes, labels and pixels."""
        digest = sha256(repr((tuple(self.images.shape), self.classes)).encode("utf-8", "backslashreplace"))
        digest.update(self.labels.numpy().astype("<i8").tobytes())
        rows = max(1, _HASHED_AT_ONCE // max(1, self.images[:1].numel()))
        for images in self.images.split(rows):
            digest.update(images.contiguous().numpy())
        return digest.hexdigest()[:12]

    def select(self, indices: Tensor | Sequence[int]) -> "ImageSet":
        """Take a subset, in the given order, as a copy in memory."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return ImageSet(self.images[chosen], self.labels[chosen], self.classes, self.name)

    def renumbered(self, numbers: Sequence[int], classes: Sequence[str]) -> "ImageSet":
        """Return the same images with label k replaced by `numbers[k]`, a position in the new `classes`."""
        return ImageSet(self.images, torch.tensor(numbers)[self.labels], tuple(classes), self.name)

    def draw(self, most: int, seed: int) -> "ImageSet":
        """Take all, or `most` of them, in a random order that is a function of the seed."""
        return self.select(permutation(seed, len(self))[:most])

    def unit(self, indices: Tensor | slice | None = None, device: torch.device | str = "cpu") -> Tensor:
        """Give images (all, or those of `indices`) as float32 in [0, 1] on a device."""
        chosen = slice(None) if indices is None else indices.cpu() if isinstance(indices, Tensor) else indices
        return to_unit(self.images[chosen].to(device))


@dataclass(frozen=True, eq=False)
class Data:
    """The three splits of one source; a classifier learns from the first, is chosen by the second, scored on the third.

    All three have the same size, channels and classes. `skipped` names the images that `skip_bad` left out, with why.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    skipped: tuple[str, ...] = ()
    parts: "Data | None" = None
    """For stacked digits, the single digits that they are made of."""
    note: str = ""
    """How the splits differ from those that the source names, in words."""

    @property
    def size(self) -> int:
        return self.train.size

    @property
    def channels(self) -> int:
        return self.train.channels

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def num_classes(self) -> int:
        return self.train.num_classes

    @property
    def has_classes(self) -> bool:
        """Whether there are at least two classes, so that a classifier can be trained."""
        return self.train.has_classes

    @cached_property
    def held_out(self) -> ImageSet:
        """The images of validation and test together, on which nothing was trained."""
        images = torch.cat([self.validation.images, self.test.images])
        labels = torch.cat([self.validation.labels, self.test.labels])
        return ImageSet(images, labels, self.classes, self.validation.name)

    @cached_property
    def digest(self) -> str:
        """Name the content of all three splits in 12 hex digits."""
        parts = (self.train.digest, self.validation.digest, self.test.digest)
        return sha256(" ".join(parts).encode()).hexdigest()[:12]

    def numbered_as(self, classes: Sequence[str], *, of: str) -> "Data":
        """Renumber the classes as in the list `classes`, by name; unchanged where one side is unnamed.

        Raises ValueError where a name is missing in `classes`; `of` names the owner of that list in the message.
        """
        numbers = matched_numbers(self.classes, classes, what=self.name, of=of)
        if self.classes == tuple(classes) or not {*self.classes} <= {*classes}:
            return self
        splits = {name: getattr(self, name).renumbered(numbers, classes) for name in ("train", "validation", "test")}
        return replace(self, **splits)

    def describe(self) -> dict[str, Any]:
        """Describe the data as plain values, for checkpoints and reports."""
        return {
            "name": self.name,
            "digest": self.digest,
            "classes": list(self.classes),
            "class_counts": list(self.train.class_counts),
            "size": self.size,
            "channels": self.channels,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "skipped": len(self.skipped),
        }

    def summary(self) -> str:
        """Describe the data in one line, for people."""
        counts = f"{len(self.train):,} train, {len(self.validation):,} validation and {len(self.test):,} test"
        if self.train.are_points:
            modes = f"{self.num_classes} mode{'s' if self.num_classes > 1 else ''}"
            return f"{self.name}: {counts} points of {self.channels} coordinate(s), {modes}, hash {self.digest}"
        kind = "grey" if self.channels == 1 else "colour"
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        left_out += f" ({self.note})" if self.note else ""
        classes = f"{self.num_classes} class{'' if self.num_classes == 1 else 'es'}" if self.classes else "no classes"
        return (
            f"{self.name}: {counts} images of {self.size}x{self.size} pixels ({kind}), "
            f"{classes}{left_out}, hash {self.digest}"
        )
