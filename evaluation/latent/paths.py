"""Paths between random latents, and what an extractor sees along them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from advgan.models.interface import Generator
from advgan.models.latents import LatentSpace
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import decode, home_of
from advgan.sampling.interpolation import between
from evaluation.features.features import Extractor, as_double

FIRST, LAST = 40, 41
"""Streams of the two ends."""


@dataclass(frozen=True)
class Ends:
    """Where N paths begin and end: latents (N, space.dim) each, and the label (N,) that both images of a path have."""

    first: Tensor
    last: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.first)


def draw_ends(generator: Generator, count: int, *, seed: int = 0) -> Ends:
    """Draw the two ends of each path independently of each other; path k is a function of (seed, k)."""
    numbers = torch.arange(count, device=home_of(generator))
    first, last = (generator.space.draw(seed, numbers, stream=stream) for stream in (FIRST, LAST))
    return Ends(first, last, sample_labels(generator, numbers, seed=seed))


def way_of(space: LatentSpace) -> str:
    """The way that stays where such latents are drawn: `slerp`, but `lerp` inside the cube of uniform ones."""
    return "lerp" if space.kind == "uniform" else "slerp"


def along(space: LatentSpace, ends: Ends, times: Tensor) -> Tensor:
    """Latents on N paths, each at its own M times: (N, M) in [0, 1] to (N, M, space.dim), float64.

    Noise goes the way of `way_of`, continuous codes straight; a categorical code stays that of the first end. In
    float64, since the two latents of a path length differ by little more than the rounding of float32.
    """
    first, last = as_double(ends.first), as_double(ends.last)
    return between(space, first, last, times.to(first), way=way_of(space))


def look_along(
    generator: Generator, extractor: Extractor, latents: Tensor, labels: Tensor | None, *, batch_size: int = 128
) -> Tensor:
    """Features (N, M, D) of the images at latents (N, M, dim), whose label is the path's.

    The images go to the extractor as the generator gives them, never rounded to 8 bits, which would turn a small
    difference of two images into none or into a whole grey level.
    """
    count, places = latents.shape[:2]
    rows = latents.flatten(0, 1).float()
    given = None if labels is None else labels.repeat_interleave(places)
    seen = [
        extractor.function(decode(generator, rows[some], None if given is None else given[some.to(given.device)]))[0]
        for some in torch.arange(len(rows)).split(batch_size)
    ]
    return torch.cat(seen).unflatten(0, (count, places))
