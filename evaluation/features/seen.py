"""The input of all scores of a generator: real, generated and held-out images with the features of one extractor."""

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
    """A set of images with the features of one extractor."""

    features: Features
    labels: Tensor | None = None
    """(N,) int64: true classes of real images, wanted ones of generated images; None where there are none."""
    images: Tensor | None = None
    """(N, C, H, W) uint8, or float for points; None where they were not kept, as with images that stream by."""
    name: str = ""
    digest: str = ""
    """Names the content."""
    drawn_from: int = 0
    """Size of the set of which these are a random draw; 0: they are the whole set."""
    asked: str = ""
    """How the classes of a conditional generator were drawn, in words."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def repeated_share(self) -> float:
        """Share of the images that have the features of another one."""
        return float(repeated(self.features.values).double().mean())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A generator's images and the real images they are compared with, all with the features of one extractor."""

    real: Sample
    """Of the training images."""
    fake: Sample
    held_out: Sample | None = None
    """Real images that the generator was not trained on: the control in tests of memorisation."""
    classes: tuple[str, ...] = ()
    """Names of the class numbers of `labels`, and of the extractor's classes where it is a classifier of the data."""
    seed: int = 0
