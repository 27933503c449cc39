"""Which images to use."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from advgan.config.places import Place
from advgan.config.section import Section


class DataConfig(Section):
    """A source of images and how to read it. Everything here changes the pixels or the split."""

    source: Annotated[str, Place.DATA] = "digits"
    """`digits`, a torchvision name, `hf:ORG/NAME@split`, the path of a folder, archive, `.npz`, `.npy`, `.pt` or
    `.parquet`, `stacked:` before a source of digits, or `gaussian`, `ring` or `grid`. Empty: the rest says how to read
    what is named elsewhere."""
    resize: int | None = Field(default=None, ge=4, le=1024)
    """Side of the square to which every image is resized; None keeps the stored size."""
    channels: Literal[1, 3] | None = None
    """1 makes images grey, 3 repeats a grey channel; None keeps what is stored."""
    skip_bad: bool = False
    """Leave out images that cannot be read, and count them, instead of stopping."""
    seed: int = Field(default=0, ge=0)
    """Seed of the split, where the source does not bring one, and of points and stacks."""
    validation: float | None = Field(default=None, gt=0, lt=1)
    """Share of the training images that is set aside where the source brings no validation images; None: a tenth. Only
    for images that are stored."""
    count: int | None = Field(default=None, ge=10)
    """Training points or stacks to draw; None: 100,000 points, 128,000 stacks. No other source has this."""

    @property
    def names_source(self) -> bool:
        """Whether somebody said which images, rather than only how to read them."""
        return "source" in self.model_fields_set and bool(self.source)

    def reading(self, source: str) -> "DataConfig":
        """How to read another source: to the same size and channels, and as strictly."""
        return DataConfig(source=source, resize=self.resize, channels=self.channels, skip_bad=self.skip_bad)


def _unnamed(data: DataConfig) -> DataConfig:
    return data if data.names_source else data.model_copy(update={"source": ""})


ReadData = Annotated[DataConfig, AfterValidator(_unnamed)]
"""Data of a verb that finds them in the run that it works on, where its configuration says only how to read them."""
