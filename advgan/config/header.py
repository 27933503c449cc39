"""What the header of a checkpoint, or the config.json of an export, says beside its networks: typed and bounded.

Such files come from others too, so nothing in them is used before it has passed through one of these sections.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from advgan.config.baseline import Baseline
from advgan.config.gan_networks import GanNetworks
from advgan.config.section import Section

MOST_CLASSES = 100_000
MOST_NUMBERS = 1 << 26
"""Of an image."""
_Name = Annotated[str, StringConstraints(max_length=1000)]
_Whole = Annotated[int, Field(strict=True, ge=0, le=1 << 53)]


class LearntData(Section):
    """The data that a network has learnt from; further keys are left out."""

    model_config = ConfigDict(extra="ignore")

    name: _Name
    digest: Annotated[str, StringConstraints(max_length=100)]
    classes: tuple[_Name, ...] = Field(max_length=MOST_CLASSES)
    size: int = Field(strict=True, ge=1, le=4096)
    """Side of the images in pixels; 1: points."""
    channels: int = Field(strict=True, ge=1, le=4096)
    """Colours of a pixel, or coordinates of a point."""
    class_counts: tuple[_Whole, ...] | None = None
    """Training images of each class, or of all where there are no classes; None: unknown, as in older checkpoints."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.size**2 * self.channels > MOST_NUMBERS:
            raise ValueError(f"size: {self.size}x{self.size} with {self.channels} channels is no image")
        counts = self.class_counts
        if counts and (len(counts) != max(1, len(self.classes)) or not any(counts)):
            raise ValueError(
                f"class_counts: {len(counts)} counts, {sum(counts):,} images in all, for {len(self.classes)} classes"
            )
        return self


class Normalisation(Section):
    """What a classifier subtracts from its images and divides them by, for each channel or for all."""

    mean: tuple[Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)], ...] = Field(min_length=1)
    std: tuple[Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"std: {len(self.std)} numbers beside {len(self.mean)} of mean")
        return self


class Latents(Section):
    """The input of an exported generator."""

    noise_dim: int = Field(strict=True, ge=0, le=1 << 20)
    kind: Annotated[str, StringConstraints(pattern="^(normal|uniform|sphere)$")] = "normal"
    categorical: int = Field(default=0, strict=True, ge=0, le=MOST_CLASSES)
    continuous: int = Field(default=0, strict=True, ge=0, le=1 << 20)


class Exported(Section):
    """The config.json that `advgan export` writes beside a network, as far as it is read back."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["generator", "classifier"]
    digest: Annotated[str, StringConstraints(max_length=100)] = ""
    data: _Name = ""
    data_digest: Annotated[str, StringConstraints(max_length=100)] = ""
    classes: tuple[_Name, ...] = Field(default=(), max_length=MOST_CLASSES)
    class_counts: tuple[_Whole, ...] = ()
    size: int | None = Field(default=None, strict=True, ge=1, le=4096)
    channels: int | None = Field(default=None, strict=True, ge=1, le=4096)
    latents: Latents | None = None
    networks: GanNetworks | None = None
    baseline: Baseline | None = None

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.size or 1) ** 2 * (self.channels or 1) > MOST_NUMBERS:
            raise ValueError(f"size: {self.size}x{self.size} with {self.channels} channels is no image")
        if self.class_counts and (len(self.class_counts) != len(self.classes) or not any(self.class_counts)):
            raise ValueError(f"class_counts: {len(self.class_counts)} counts for {len(self.classes)} classes")
        return self
