"""Generators with a known fault, made of real images: what an evaluation must tell apart."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from advgan.data import ImageSet
from advgan.ranges import to_bytes
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan
from attacks.random import normal, permutation

Planting = Callable[[ImageSet, ImageSet, int, int], Tensor]
"""Training images, held-out images, a number and a seed to that many uint8 images."""


def healthy(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Real images that no generator was trained on."""
    return _drawn(held_out.images, count, seed)


def copied(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """The training images themselves."""
    return _drawn(train.images, count, seed)


def shifted(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Training images moved by one pixel, in one of four directions."""
    images = _drawn(train.images, count, seed)
    moves = [(1, 1), (-1, 1), (1, 2), (-1, 2)]  # pixels, and the axis of (C, H, W)
    return torch.stack([image.roll(*moves[place % 4]) for place, image in enumerate(images)])


def collapsed(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Held-out images of one class alone."""
    return _drawn(held_out.images[held_out.labels == 0], count, seed)


def missing(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Held-out images of all classes but the last: a tenth of ten modes."""
    return _drawn(held_out.images[held_out.labels < held_out.num_classes - 1], count, seed)


def blurred(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Held-out images under a mean of 3x3 pixels."""
    images = healthy(train, held_out, count, seed)
    return avg_pool2d(images.float(), 3, 1, 1, count_include_pad=False).round().byte()


def noisy(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Held-out images with Gaussian noise of a tenth of the range."""
    images = healthy(train, held_out, count, seed)
    noise = normal(seed, torch.arange(count), images.shape[1:])
    return (images + 25.5 * noise).round().clamp(0, 255).byte()


def compressed(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Held-out images saved as JPEG of quality 25."""
    return torch.stack([_jpeg(image, 25) for image in healthy(train, held_out, count, seed)])


def repeating(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
    """Fifty held-out images over and over."""
    images = healthy(train, held_out, 50, seed)
    return images.repeat(-(-count // 50), 1, 1, 1)[:count]


def half_trained(checkpoint: Path) -> Planting:
    """What a generator draws whose training was stopped early, by its checkpoint."""
    gan = load_gan(checkpoint)

    def drawn(train: ImageSet, held_out: ImageSet, count: int, seed: int) -> Tensor:
        return to_bytes(sample(gan.generator, count, seed=seed))

    return drawn


PLANTINGS: dict[str, Planting] = {
    "held-out real images": healthy,
    "copies of the training set": copied,
    "training set, shifted by a pixel": shifted,
    "one class alone": collapsed,
    "one class missing": missing,
    "blur": blurred,
    "noise": noisy,
    "JPEG": compressed,
    "fifty images repeated": repeating,
}


def _drawn(images: Tensor, count: int, seed: int) -> Tensor:
    """`count` images without replacement, or as many as there are."""
    return images[permutation(seed, len(images))[:count]]


def _jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    read = torch.from_numpy(np.array(Image.open(stream)))
    return read[None] if read.ndim == 2 else read.permute(2, 0, 1)
