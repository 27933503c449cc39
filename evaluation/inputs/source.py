"""`Source`: a numbered set of images to score; image k is a function of the source and k alone."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.sampling.stored import TrainedGan


class Rounding(NamedTuple):
    """The loss by rounding stored float images to 8 bits."""

    share: float
    """Share of the values that were no whole grey level."""
    before: int
    """Number of distinct values in the first images before rounding."""
    after: int
    """Number of distinct grey levels in the same images after rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A number of images to look at, wherever they come from."""

    name: str
    """As the user wrote it, for messages and tables."""
    digest: str
    """Names the content: of a stored set its pixels, of a generator its weights or its file."""
    count: int
    size: int
    channels: int
    draw: Callable[[Tensor], Tensor]
    """Numbers (N,) on the CPU to images (N, C, H, W): uint8, or float in the unit range."""
    labels: Tensor | None = None
    """(count,) int64: true classes of stored images, wanted ones of generated images; None where there are none."""
    classes: tuple[str, ...] | None = None
    gan: TrainedGan | None = None
    """Where it is one of ours: what else there is to be examined."""
    stored: bool = False
    """Whether `digest` and `rows` identify every pixel, so that features can be cached."""
    rows: Tensor | None = None
    """Which images of a stored set are given; None: all."""
    drawn_from: int = 0
    """Images of the set that `rows` were drawn from; 0: none were left out, or it is no set."""
    points: bool = False
    """Whether these are points, (N, D, 1, 1) and float, which may leave the unit range."""
    protocol: str = ""
    """How the images were drawn, in words."""
    asked: str = ""
    """How the classes of a conditional generator were drawn, in words; empty for everything else."""
    lossy: int = 0
    """How many of the files were JPEG."""
    rounding: Rounding | None = None
    """Where a file or a tensor held floats: what became of them."""
    unmatched: tuple[str, ...] = ()
    """Class names that the data do not know, for which all labels were left out."""

    def __len__(self) -> int:
        return self.count

    def images(self, numbers: Tensor) -> Tensor:
        """Give the images of some numbers, from 0 to count - 1; raises ValueError where they are no images."""
        return checked(self.draw(numbers), len(numbers), name=self.name, points=self.points)

    def batches(self, numbers: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Give the images of some numbers in order, `batch_size` at a time."""
        for part in numbers.split(batch_size):
            yield self.images(part)


def checked(images: Tensor, count: int, *, name: str, points: bool = False) -> Tensor:
    """Refuse what is no batch of `count` images, and what rounding to 8 bits would silently clip."""
    if images.ndim != 4 or len(images) != count:
        raise ValueError(
            f"{name} gave {tuple(images.shape)} where {count} images (N, C, H, W) were asked for: give one for each"
        )
    if images.dtype == torch.uint8 and not points:
        return images
    if not images.is_floating_point():
        raise ValueError(f"{name} gives images of the type {images.dtype}: uint8, or float in [0, 1], is needed")
    low, high = (float(value) for value in images.aminmax())
    if points and math.isfinite(low) and math.isfinite(high):
        return images
    if not (low >= 0 and high <= 1):  # also where one is NaN
        wrong = "hold NaN" if math.isnan(low) else f"run from {low:.4g} to {high:.4g}"
        raise ValueError(f"{name}: the images {wrong}, floats must be finite and in [0, 1]: mend or rescale them")
    return images
