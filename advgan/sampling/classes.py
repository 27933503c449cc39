"""Which class each sample of a conditional generator is of: an independent draw, a function of the seed and its index.

Classes in turn would be neither in the shares of the data nor independent draws, which every interval, the floor of a
distance and its limit assume (Cochran, 1977, on strata).
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from advgan.models.interface import Generator
from attacks.random import uniform

_STREAM = 3 << 16
"""Above the streams of noise and codes."""
_KNOWN = "class_counts"

G = TypeVar("G", bound=Generator)


def with_class_counts(generator: G, counts: Sequence[int] | None) -> G:
    """Let a generator know how many images of each class it was trained on; None: nobody knows."""
    vars(generator)[_KNOWN] = None if counts is None else tuple(counts)
    return generator


def class_counts(generator: Generator) -> tuple[int, ...] | None:
    """How many images of each class a generator was trained on, where that is known."""
    counts: tuple[int, ...] | None = getattr(generator, _KNOWN, None)
    return counts


def sample_labels(
    generator: Generator, indices: Tensor, *, seed: int = 0, counts: Sequence[int] | None = None
) -> Tensor | None:
    """Draw the classes (N,) of samples, in the shares of `counts`; None if unconditional.

    By default in those of the images that the generator was trained on, where it knows them, else each as likely.
    """
    if not generator.num_classes:
        return None
    counts = counts or class_counts(generator) or (1,) * generator.num_classes
    return draw_classes(counts, indices, seed=seed)


def draw_classes(counts: Sequence[int], indices: Tensor, *, seed: int = 0) -> Tensor:
    """Draw classes (N,) independently, as likely as `counts` (K,) says; that of index k depends on (seed, k) alone."""
    drawn = uniform(seed, indices, (), stream=_STREAM)
    return torch.searchsorted(class_edges(counts).to(indices.device), drawn, right=True)


def class_edges(counts: Sequence[int]) -> Tensor:
    """Where each class (K,) ends on the way from 0 to 1; the last one that occurs ends nowhere."""
    weights = torch.tensor(counts, dtype=torch.float64)
    edges = weights.cumsum(0) / weights.sum()
    edges[int(weights.nonzero().max()) :] = torch.inf
    return edges.float()


def in_turn(generator: Generator, indices: Tensor) -> Tensor | None:
    """Give the class that is the index modulo their number, for pictures whose columns are classes; None without."""
    return indices % generator.num_classes if generator.num_classes else None
