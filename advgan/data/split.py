"""Split images into train, validation and test."""

import math

import numpy as np
import numpy.typing as npt

from advgan.data.reading.collection import SPLITS, TEST, TRAIN, UNSPLIT, VALIDATION, Labelled, Labels
from attacks.random import permutation

Rows = tuple[Labels, Labels, Labels]

_STREAM = 1 << 40  # far from those of the epochs, whose seed may be the same


def split_rows(labelled: Labelled, *, seed: int, source: str, validation: float | None = None) -> Rows:
    """Give the rows of train, validation and test, each in stored order.

    What the source splits stays so; the rest is a stratified draw that depends on the seed and the labels alone.
    `validation` is the share of the training images that is set aside, instead of the usual one.
    Raises ValueError, naming the `source`, where there are too few images to set any aside, or training lacks a class.
    """
    labels, origin, (validation_share, test_share) = labelled.labels, labelled.origin, labelled.shares
    part = origin.copy()
    order = permutation(seed, len(labels), stream=_STREAM).numpy()
    unsplit = order[origin[order] == UNSPLIT]
    if len(unsplit):
        test = stratified(labels[unsplit], test_share)
        part[unsplit] = np.where(test, TEST, TRAIN)
    if not (part == VALIDATION).any():
        train = order[part[order] == TRAIN]
        # A share of the whole where the test images were drawn too, else of the training images that the source gives.
        share = validation_share * (len(unsplit) or len(train)) / max(1, len(train))
        share = share if validation is None else validation
        part[train] = np.where(stratified(labels[train], share), VALIDATION, TRAIN)
    rows = np.flatnonzero(part == TRAIN), np.flatnonzero(part == VALIDATION), np.flatnonzero(part == TEST)
    _check(labelled, rows, source)
    return rows


def stratified(labels: Labels, share: float) -> npt.NDArray[np.bool_]:
    """Mark ceil(share * N) rows, each class in proportion (largest remainders), the first rows of each class.

    A class keeps at least one unmarked row.
    """
    wanted = math.ceil(round(share * len(labels), 6))
    classes, of_class, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    exact = sizes * wanted / max(1, len(labels))
    taken = np.minimum(np.floor(exact), sizes - 1).astype(np.int64)
    for kind in np.argsort(taken - exact, kind="stable"):
        if taken.sum() < wanted and taken[kind] < sizes[kind] - 1:
            taken[kind] += 1
    marked = np.zeros(len(labels), dtype=bool)
    for kind in range(len(classes)):
        marked[np.flatnonzero(of_class == kind)[: taken[kind]]] = True
    return marked


def _check(labelled: Labelled, rows: Rows, source: str) -> None:
    classes, labels = labelled.classes, labelled.labels
    if len(labels) == 0:
        raise ValueError(f"{source} holds no images")
    present = np.unique(labels)
    if len(present) == 1:
        raise ValueError(f"{source} has one class only ({classes[present[0]]}); a classifier needs at least two")
    for split, chosen in zip(SPLITS, rows, strict=True):
        if len(chosen) == 0:
            raise ValueError(f"{source} has too few images ({len(labels)}) to set some aside for {split}")
    missing = np.setdiff1d(labels, labels[rows[0]])
    if len(missing):
        raise ValueError(f"{source}: the training images have none of class {classes[missing[0]]}; add some or drop it")
