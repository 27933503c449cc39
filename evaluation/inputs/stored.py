"""Stored images as a source: all of them, or a random draw by the seed."""

from typing import NamedTuple

import torch
from torch import Tensor

from advgan.data import Data, ImageSet
from advgan.data.class_names import numbers_among
from attacks.random import permutation
from evaluation.inputs.source import Rounding, Source


class Found(NamedTuple):
    """What a reader found: the images, and what an `ImageSet` does not say."""

    images: ImageSet
    labelled: bool
    """Whether the images have labels (else all are 0)."""
    named: bool
    """Whether the classes have names of their own."""
    lossy: int = 0
    skipped: int = 0
    """Files that were left out, since they cannot be read."""
    rounding: Rounding | None = None


def stored_source(
    found: Found,
    *,
    name: str,
    num_samples: int | None = None,
    seed: int = 0,
    data: Data | None = None,
    device: torch.device | str = "cpu",
) -> Source:
    """Give all images, or `num_samples` of them in the stored order, drawn without replacement by the seed.

    Labels become the class numbers of `data`, by name or else by number; where a name is unknown there, all are left
    out, and `unmatched` names the strangers. Raises ValueError for a number that is no class of `data`.
    """
    images = found.images
    rows = None
    if num_samples is not None and num_samples < len(images):
        rows = permutation(seed, len(images))[:num_samples].sort().values
    labels, classes, unmatched = _labels(found, name, data)

    def draw(numbers: Tensor) -> Tensor:
        return images.images[numbers if rows is None else rows[numbers]].to(device)

    return Source(
        name=name,
        digest=images.digest,
        count=len(images) if rows is None else len(rows),
        size=images.size,
        channels=images.channels,
        draw=draw,
        labels=labels if labels is None or rows is None else labels[rows],
        classes=classes,
        stored=True,
        rows=rows,
        drawn_from=0 if rows is None else len(images),
        points=images.are_points,
        protocol=_protocol(found, rows, seed),
        lossy=found.lossy,
        rounding=found.rounding,
        unmatched=unmatched,
    )


def _protocol(found: Found, rows: Tensor | None, seed: int) -> str:
    count = len(found.images)
    words = "all stored images" if rows is None else f"{len(rows):,} of {count:,} images, seed {seed}"
    return f"{words}; {found.skipped:,} that cannot be read left out" if found.skipped else words


def _labels(
    found: Found, name: str, data: Data | None
) -> tuple[Tensor | None, tuple[str, ...] | None, tuple[str, ...]]:
    """Labels, names of the classes, and names that `data` lacks."""
    if not found.labelled:
        return None, None, ()
    labels, classes = found.images.labels, found.images.classes
    if data is None:
        return labels, classes, ()
    known = data.classes
    if found.named:
        numbers = numbers_among(classes, known)
        if numbers is None:
            return None, None, tuple(kind for kind in classes if kind not in known)
        return torch.tensor(numbers)[labels], known, ()
    if int(labels.max()) >= len(known):
        raise ValueError(
            f"{name} has the label {int(labels.max())}, {data.name} has the classes 0 to {len(known) - 1}: they do not "
            "belong together"
        )
    return labels, known, ()
