"""Stacked digits: three random digits as the channels of one image, which gives 1,000 modes (Metz et al., 2017)."""

import torch

from advgan.data.imageset import Data, ImageSet
from attacks.random import integers

PREFIX = "stacked:"
NUM_TRAIN = 128_000
NUM_VALIDATION = 10_000
NUM_TEST = 26_000
"""As many as Lin et al. (2018, PacGAN) train on, and as many as they generate to count modes in."""
CLASSES = tuple(f"{number:03d}" for number in range(1000))
_STREAM = 1 << 42  # far from those of points, splits and epochs, whose seed may be the same


def stack_digits(digits: Data, *, source: str, seed: int, count: int | None = None) -> Data:
    """Stack random digits of each split; class 100a + 10b + c shows the digits a, b and c as its channels.

    Stack k of a split is a function of (seed, k), whatever the `count`. All are held as uint8: 300 MB for the default
    training stacks of 28x28. Raises ValueError where `digits` has other than 10 classes or not one channel.
    """
    if digits.num_classes != 10:
        raise ValueError(
            f"{source}: {digits.name} has {digits.num_classes} classes, stacks are made of 10: give digits"
        )
    if digits.channels != 1:
        raise ValueError(f"{source}: {digits.name} has {digits.channels} channels, stacks are made of grey images")
    parts, sizes = (digits.train, digits.validation, digits.test), (count or NUM_TRAIN, NUM_VALIDATION, NUM_TEST)
    train, validation, test = (
        _stack(part, size, seed, _STREAM + 3 * number)
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True))
    )
    return Data(train.name, train, validation, test, digits.skipped, parts=digits)


def _stack(digits: ImageSet, count: int, seed: int, stream: int) -> ImageSet:
    columns = [integers(seed, torch.arange(count), len(digits), stream=stream + channel) for channel in range(3)]
    chosen = torch.stack(columns, dim=1)
    labels = digits.labels[chosen] @ torch.tensor([100, 10, 1])
    return ImageSet(digits.images[chosen].flatten(1, 2), labels, CLASSES, f"stacked-{digits.name}")
