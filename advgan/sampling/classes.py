"""Draw the class of each sample of a conditional generator, independently, as a function of (seed, index).

Cycling through the classes would ignore the class frequencies of the data, and would be stratified sampling, while
intervals, the floor of a distance and its limit assume independent draws (Cochran, 1977).
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
    """Store on a generator how many images of each class it was trained on; None: unknown."""
    vars(generator)[_KNOWN] = None if counts is None else tuple(counts)
    return generator


def class_counts(generator: Generator) -> tuple[int, ...] | None:
    """Number of training images of each class of a generator; None where it is unknown."""
    counts: tuple[int, ...] | None = getattr(generator, _KNOWN, None)
    return counts


def sample_labels(
    generator: Generator, indices: Tensor, *, seed: int = 0, counts: Sequence[int] | None = None
) -> Tensor | None:
    """Draw the classes (N,) of samples with probabilities in proportion to `counts`; None if unconditional.

    `counts` defaults to those of the generator's training images, where they are known, else to equal ones.
    """
    if not generator.num_classes:
        return None
    counts = counts or class_counts(generator) or (1,) * generator.num_classes
    return draw_classes(counts, indices, seed=seed)


def draw_classes(counts: Sequence[int], indices: Tensor, *, seed: int = 0) -> Tensor:
    """Draw classes (N,) with probabilities in proportion to `counts` (K,); sample k depends on (seed, k) alone."""
    drawn = uniform(seed, indices, (), stream=_STREAM)
    return torch.searchsorted(class_edges(counts).to(indices.device), drawn, right=True)


def class_edges(counts: Sequence[int]) -> Tensor:
    """The cumulative probabilities of the classes (K,); infinite from the last class that occurs on."""
    weights = torch.tensor(counts, dtype=torch.float64)
    edges = weights.cumsum(0) / weights.sum()
    edges[int(weights.nonzero().max()) :] = torch.inf
    return edges.float()


def in_turn(generator: Generator, indices: Tensor) -> Tensor | None:
    """Cycle through the classes (index modulo their number), for grids with a class per column."""
    return indices % generator.num_classes if generator.num_classes else None
