"""Batches of real and extra images (generated, adversarial, or more real ones) for training a classifier."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.config import ClassifierTraining
from advgan.data import Batch, ImageSet, batches
from advgan.data.class_names import matched_numbers
from advgan.learning.augmentation import augment
from advgan.ranges import to_unit
from attacks.random import integers

_EXTRA = 1  # stream that turns the seed of a run into that of its extra images


class Mixture(NamedTuple):
    """How many images of each kind a batch holds."""

    real: int
    extra: int


class MixedBatch(NamedTuple):
    """What is learnt in one step, on the device."""

    images: Tensor
    """(N, C, H, W) float in [0, 1]."""
    labels: Tensor
    """(N,) int64."""
    epoch: int
    """Of the real images, counted from 0."""


def mixture(training: ClassifierTraining, num_images: int, num_extra: int = 0) -> Mixture:
    """Divide a batch among real and extra images, by `extra_fraction` or else in proportion to their numbers.

    Raises ValueError where one kind is left without a place, or a batch would need more extra images than there are.
    """
    size, share = training.batch_size, training.extra_fraction
    if num_extra == 0 or share == 0:
        return Mixture(min(size, num_images), 0)
    wanted = num_extra / (num_images + num_extra) if share is None else share
    extra = max(1, round(size * wanted))
    if share is None:
        extra = min(extra, size - 1, num_extra)
    if extra >= size or extra < 1:
        raise ValueError(
            f"extra_fraction {wanted:g} of a batch of {size} leaves no real images: lower it, raise batch_size, or "
            "give the extra images as the data"
        )
    if extra > num_extra:
        raise ValueError(
            f"extra_fraction {wanted:g} asks for {extra} extra images a batch, and there are {num_extra}: use "
            f"{num_extra / size:.3g} or less, or add images"
        )
    return Mixture(min(size - extra, num_images), extra)


def steps_per_epoch(training: ClassifierTraining, num_images: int, num_extra: int = 0) -> int:
    """Count the batches of an epoch, which passes once over the real images (but for a last batch that is not full)."""
    return num_images // mixture(training, num_images, num_extra).real


def mixed_batches(
    data: ImageSet,
    extra: ImageSet | None,
    training: ClassifierTraining,
    *,
    start: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[MixedBatch]:
    """Yield batches without end from number `start` on: real images, then extra ones, all augmented.

    Classes are matched by name. Raises ValueError where the extra images have another shape or a class of their own.
    """
    parts, seed = mixture(training, len(data), 0 if extra is None else len(extra)), training.seed
    real = batches(data, parts.real, seed=seed, start=start, device=device)
    if extra is None or parts.extra == 0:
        for batch in real:
            yield MixedBatch(_augmented(batch, training.augmentation, seed), batch.labels, batch.epoch)
        return
    renamed = _renamed(extra, data).to(device)
    # Another seed, or sets of the same length would go through training in the same order.
    extra_seed = int(integers(seed, torch.zeros(1, dtype=torch.int64), 1 << 31, stream=_EXTRA))
    others = batches(extra, parts.extra, seed=extra_seed, start=start, device=device)
    for batch, other in zip(real, others, strict=True):
        images = (
            _augmented(batch, training.augmentation, seed),
            _augmented(other, training.augmentation, extra_seed),
        )
        yield MixedBatch(torch.cat(images), torch.cat((batch.labels, renamed[other.labels])), batch.epoch)


def _augmented(batch: Batch, kind: str, seed: int) -> Tensor:
    return to_unit(augment(batch.images, batch.indices, kind=kind, seed=seed, epoch=batch.epoch))


def _renamed(extra: ImageSet, data: ImageSet) -> Tensor:
    """The label in `data` of each class of `extra`; a set that lacks a class numbers the others differently."""
    if (extra.size, extra.channels) != (data.size, data.channels):
        raise ValueError(
            f"the extra images are {extra.channels}x{extra.size}x{extra.size}, the data "
            f"{data.channels}x{data.size}x{data.size}: they must be alike"
        )
    numbers = matched_numbers(extra.classes, data.classes, what=extra.name or "the extra images", of="the data")
    return torch.tensor(numbers)
