"""Random shifts and mirrors of training images, as a function of (seed, sample index, epoch)."""

import torch
from torch import Tensor

from attacks.random import integers

AUGMENTATIONS = ("none", "shift", "flip", "shift-flip")
_DRAWS = 3  # independent draws a sample and epoch: down, right, mirror


def augment(images: Tensor, indices: Tensor, *, kind: str, seed: int, epoch: int) -> Tensor:
    """Augment a batch: (N, C, H, W) images of any dtype and the (N,) indices of its samples.

    What happens to a sample depends on (seed, its index, epoch) alone, whatever else is in the batch. `shift` moves by
    up to an eighth of the side, at least one pixel, each way; `flip` mirrors left to right with probability 1/2.
    """
    assert kind in AUGMENTATIONS
    down, right, mirror = range(_DRAWS * epoch, _DRAWS * epoch + _DRAWS)
    if "shift" in kind:
        reach = max(1, images.shape[-1] // 8)
        rows = integers(seed, indices, 2 * reach + 1, stream=down) - reach
        columns = integers(seed, indices, 2 * reach + 1, stream=right) - reach
        images = shift(images, rows, columns)
    if "flip" in kind:
        images = flip(images, integers(seed, indices, 2, stream=mirror) == 1)
    return images


def shift(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Move each image down by its `rows` and right by its `columns`, (N,) whole numbers; what comes in is black."""
    return _slide(_slide(images, rows, dim=2), columns, dim=3)


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror left to right those images for which `mirrored`, (N,) booleans, is true."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _slide(images: Tensor, offsets: Tensor, *, dim: int) -> Tensor:
    side = images.shape[dim]
    source = torch.arange(side, device=images.device) - offsets[:, None]
    shape = [len(images), 1, 1, 1]
    shape[dim] = side
    inside = ((source >= 0) & (source < side)).reshape(shape)
    taken = images.gather(dim, source.clamp(0, side - 1).reshape(shape).expand_as(images))
    return taken * inside
