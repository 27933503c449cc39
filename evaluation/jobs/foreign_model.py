"""The input that an external classifier expects: settings of every verb that takes one with `--model`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from advgan.config import Number, Section

READ_SO = ("mean", "std", "input_size", "layout")
"""The settings below."""


class ForeignModel(Section):
    """The input that an external model expects, as far as the user gives it; None: not given."""

    mean: tuple[Number, ...] | None = None
    std: tuple[Number, ...] | None = None
    input_size: int | None = Field(default=None, ge=1)
    """Side in pixels of an external model's input: images are resized inside the model, and attacked at their own size;
    None: the model's own side, or that of the data."""
    layout: Literal["NCHW", "NHWC", "flat"] | None = None
    """Order of the axes of images for an external model; None: determined by trying."""

    @model_validator(mode="after")
    def _mean_with_std(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("--mean and --std belong together: give both or neither")
        return self
