"""Split images into train, validation and test."""

import math

import numpy as np
import numpy.typing as npt

from advgan.data.reading.collection import SPLITS, TEST, TRAIN, UNSPLIT, VALIDATION, Labelled, Labels, Origins
from advgan.data.uses import LEARNING, Use
from attacks.random import permutation

Rows = tuple[Labels, Labels, Labels]

_STREAM = 1 << 40  # far from those of the epochs, whose seed may be the same


def split_rows(
    labelled: Labelled, *, seed: int, source: str, validation: float | None = None, use: Use = LEARNING
) -> Rows:
    """Return the rows of train, validation and test, each in stored order.

    Splits of the source are kept as `roles` says; the rest is a stratified draw that depends on the seed and the labels
    alone. `validation` is the share of the training images set aside for validation, instead of the source's default.
    Raises ValueError, naming the `source`, where the data lack what `use` needs, are too few to set any aside, or the
    training images lack a class.
    """
    labels, (validation_share, test_share) = labelled.labels, labelled.shares
    _check_classes(labelled, source, use)
    origin = roles(labelled.origin, source=source, use=use)[0]
    part = origin.copy()
    order = permutation(seed, len(labels), stream=_STREAM).numpy()
    unsplit = order[origin[order] == UNSPLIT]
    if len(unsplit):
        test = stratified(labels[unsplit], test_share)
        part[unsplit] = np.where(test, TEST, TRAIN)
    if not (part == VALIDATION).any() and (part == TRAIN).any():
        train = order[part[order] == TRAIN]
        # A share of the whole where the test images were drawn too, else of the training images that the source gives.
        share = validation_share * (len(unsplit) or len(train)) / max(1, len(train))
        share = share if validation is None else validation
        part[train] = np.where(stratified(labels[train], share), VALIDATION, TRAIN)
    rows = np.flatnonzero(part == TRAIN), np.flatnonzero(part == VALIDATION), np.flatnonzero(part == TEST)
    if len(rows[0]):
        _check(labelled, rows, source)
    return rows


def roles(origin: Origins, *, source: str, use: Use) -> tuple[Origins, str]:
    """Decide the split of each image (N,) from the one that the source gives it; a note in words where they differ.

    Validation images serve as missing test images, and training images alone count as unsplit. Validation or test
    images alone are treated as `use.alone` says; ValueError where that is "refused".
    """
    there = set(np.unique(origin).tolist())
    if there == {TRAIN}:
        return np.full_like(origin, UNSPLIT), "without a test split, so divided by seed"
    if VALIDATION in there and TEST not in there and there & {TRAIN, UNSPLIT}:
        return np.where(origin == VALIDATION, TEST, origin).astype(origin.dtype), "its validation split as test images"
    if there & {TRAIN, UNSPLIT}:
        return origin, ""
    words = " and ".join(f"a {split} split" for number, split in enumerate(SPLITS) if number in there)
    if use.alone == "divided":
        return np.full_like(origin, UNSPLIT), f"{words} alone, divided by seed"
    if use.alone == "tested":
        tested = np.full_like(origin, TEST) if TEST not in there else origin
        return tested, f"{words} alone"
    raise ValueError(
        f"{source} has {words} but no train split, and there is nothing to learn from: add one, or give the images "
        "without a split, which are then divided by seed"
    )


def rows_to_learn(origin: Origins) -> Labels:
    """The rows of training and unsplit images; all rows where there are none."""
    rows = np.flatnonzero((origin == TRAIN) | (origin == UNSPLIT))
    return rows if len(rows) else np.arange(len(origin))


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


def _check_classes(labelled: Labelled, source: str, use: Use) -> None:
    if len(labelled.labels) == 0:
        raise ValueError(f"{source} holds no images")
    if not use.why_classes:
        return
    if not labelled.classes:
        raise ValueError(f"{source}: {use.why_classes}, but {labelled.unlabelled}")
    present = np.unique(labelled.labels)
    if len(present) == 1:
        raise ValueError(
            f"{source} has one class only ({labelled.classes[present[0]]}); {use.why_classes}: give two at least"
        )


def _check(labelled: Labelled, rows: Rows, source: str) -> None:
    classes, labels = labelled.classes, labelled.labels
    for split, chosen in zip(SPLITS, rows, strict=True):
        if len(chosen) == 0:
            raise ValueError(f"{source} has too few images ({len(labels)}) to set some aside for {split}")
    missing = np.setdiff1d(labels, labels[rows[0]])
    if len(missing):
        raise ValueError(f"{source}: the training images have none of class {classes[missing[0]]}; add some or drop it")
