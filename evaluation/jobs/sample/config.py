"""The settings of `advgan sample`."""

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from advgan.config import Place, ReadData
from evaluation.jobs.foreign_model import READ_SO, ForeignModel

if TYPE_CHECKING:
    from torch import Tensor

MOST = 1_000_000
"""Indices that one command takes."""
KINDS = {"interpolate": "--interpolate", "traverse": "--traverse", "arithmetic": "--arithmetic", "reject": "--reject"}


class SampleConfig(ForeignModel):
    """What `advgan sample` draws. At most one of grid class, interpolate, traverse, arithmetic and reject."""

    checkpoint: Annotated[str | None, Place.RUN] = None
    num_samples: int | None = Field(default=None, ge=1, le=MOST)
    """Images (64); paths of interpolate, rows of traverse and of grid class (8); latents behind arithmetic (2000)."""
    indices: str | None = None
    """Which samples of the seed instead of the first ones, such as `3,17,200-210`; interpolate takes them in pairs."""
    label: str | None = None
    """Name of the only class to draw; None: classes at random, in the shares of the training data."""
    truncation: float | None = None
    """Truncate the noise distribution at this threshold (truncation trick, BigGAN); None: no truncation."""
    grid: Literal["images", "class"] = "images"
    """`class`: a row a latent vector, a column a class."""
    interpolate: Literal["lerp", "slerp"] | None = None
    traverse: str | None = None
    """Move one coordinate from -1 to 1: number of a noise entry, `code0`, ..., or `categorical`."""
    steps: int = Field(default=9, ge=2)
    """Images along a path or a traversal."""
    arithmetic: str | None = None
    """Add up mean latents of classes, such as `7 - 1 + 0`."""
    model: Annotated[str, Place.CLASSIFIER] = "cnn"
    """The classifier that assigns latents to classes for arithmetic."""
    data: ReadData | None = None
    """The data with that classifier's classes; None: the data of the GAN's run."""
    reject: bool = False
    """Discriminator rejection sampling: keep images with probabilities from the discriminator's density ratio."""
    reject_percentile: float | None = Field(default=80.0, gt=0, lt=100)
    """Share of the burn-in, in percent, that is kept with probability below a half: higher rejects more (80 is the
    paper's on ImageNet); None: no shift, exact and slow."""
    burn_in: int = Field(default=5000, ge=100)
    """Samples that set up the rejection."""
    batch_size: int = Field(default=256, ge=1)
    seed: int = Field(default=0, ge=0)

    def idle(self) -> dict[str, str]:
        found = {}
        if not (self.interpolate or self.traverse is not None):
            found["steps"] = "there is no path; add --interpolate slerp or --traverse 0"
        if self.arithmetic is None:
            judged = "no classifier is asked; it is for --arithmetic"
            found |= dict.fromkeys(("model", "data.source", *READ_SO), judged)
        if not self.reject:
            found |= dict.fromkeys(("reject_percentile", "burn_in"), "nothing is rejected; add --reject")
        return found

    @field_validator("indices")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            parse_indices(text)
        return text

    @model_validator(mode="after")
    def _one_kind(self) -> "SampleConfig":
        asked = [flag for name, flag in KINDS.items() if getattr(self, name)]
        asked += ["--grid class"] if self.grid == "class" else []
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)}: each draws something else, give one of them")
        if self.indices is not None and self.num_samples is not None:
            raise ValueError("--indices and --num-samples both say how many images: give one of them")
        if self.indices is not None and self.reject:
            raise ValueError("--reject goes through the samples in order: give --num-samples instead of --indices")
        return self

    def chosen(self, default: int, *, each: int = 1) -> "Tensor":
        """The sample indices: those given, else `each` for every one of `num_samples`."""
        import torch

        if self.indices is not None:
            return torch.tensor(parse_indices(self.indices))
        return torch.arange((self.num_samples or default) * each)


def parse_indices(text: str) -> list[int]:
    """Read `3,17,200-210`, both ends included, in the order given; what is named twice counts once."""
    found: dict[int, None] = {}
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,15})\s*(?:-\s*(\d{1,15})\s*)?", item)
        if not match:
            raise ValueError(f"{item!r} is neither a number nor a range; write 3,17,200-210")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 <= last - first < MOST:
            raise ValueError(f"the range {item.strip()} must rise, by less than {MOST:,}")
        found.update(dict.fromkeys(range(first, last + 1)))
    return list(found)
