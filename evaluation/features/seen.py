"""What the scores of a generator are made of: real, generated and held-out images as one extractor saw them."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from evaluation.features.features import Features
from evaluation.features.neighbours import repeated
from evaluation.statistics.intervals import Estimate

Row = tuple[str, Estimate, int, str]
"""A metric's word, its value with the interval, the sample size, and in words how both were made."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A set of images as one extractor saw it, each once."""

    features: Features
    labels: Tensor | None = None
    """(N,) int64: true classes of real images, wanted ones of generated images; None where there are none."""
    images: Tensor | None = None
    """(N, C, H, W) uint8, or float for points; None where they were not kept, as with images that stream by."""
    name: str = ""
    digest: str = ""
    """Names the content."""
    drawn_from: int = 0
    """Images of which these are a random draw; 0: they are all there are."""
    asked: str = ""
    """Which classes a conditional generator was asked for, in words."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def repeated_share(self) -> float:
        """Share of the images that have the features of another one."""
        return float(repeated(self.features.values).double().mean())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A generator's images with those that they are held against, seen by one extractor."""

    real: Sample
    """Of the training images."""
    fake: Sample
    held_out: Sample | None = None
    """Real images that the generator was not trained on: the control of every test for copies."""
    classes: tuple[str, ...] = ()
    """Names of the class numbers of `labels`, and of the extractor's classes where it is a classifier of the data."""
    seed: int = 0
