"""The value range of a foreign generator, recognised on its first images and checked on all later ones."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from advgan.ranges import from_signed

SLACK = 1e-3
"""What the rounding of a network's last layer may reach beyond its range; it is clipped."""


@dataclass(frozen=True)
class ValueRange:
    """A range by name, with the way from it to uint8 or to float in [0, 1]."""

    words: str
    low: float
    high: float
    convert: Callable[[Tensor], Tensor]

    def to_images(self, raw: Tensor, *, name: str) -> Tensor:
        """Convert; ValueError where an image leaves the range of the first ones."""
        if raw.dtype == torch.uint8:
            return raw
        low, high = (float(value) for value in raw.aminmax())
        slack = SLACK * (self.high - self.low)
        if not (low >= self.low - slack and high <= self.high + slack):  # also where one is NaN
            raise ValueError(
                f"{name}: the first images are {self.words}, but these run from {low:.4g} to {high:.4g}: return "
                "images in [0, 1] or uint8"
            )
        return self.convert(raw)


BYTES = ValueRange("bytes", 0, 255, lambda raw: raw)
UNIT = ValueRange("in [0, 1]", 0, 1, lambda raw: raw.float().clamp(0, 1))
SIGNED = ValueRange("signed, in [-1, 1]", -1, 1, lambda raw: from_signed(raw.float()))
LEVELS = ValueRange("levels in 0..255", 0, 255, lambda raw: raw.round().clamp(0, 255).to(torch.uint8))
POINTS = ValueRange("points", -torch.inf, torch.inf, lambda raw: raw.float())
_FLOATS = (UNIT, SIGNED, LEVELS)
_FEW_LEVELS = 2
"""Up to here a maximum means the unit range overshot, not levels of a dark image."""


def recognise(raw: Tensor, *, name: str) -> ValueRange:
    """Tell the range of a generator by its first images (N, C, H, W).

    uint8 is bytes; floats are in [0, 1], signed in [-1, 1] or levels in 0..255, the first of these that holds them.
    Points, (N, D, 1, 1), are taken to be in the unit range, and may leave it. Raises ValueError for anything else.
    """
    if raw.ndim != 4:
        raise ValueError(f"{name} gives outputs of the shape {tuple(raw.shape)}: images (N, C, H, W) are needed")
    if raw.dtype == torch.uint8:
        return BYTES
    if not raw.is_floating_point():
        raise ValueError(f"{name} gives images of the type {raw.dtype}: uint8, or float in [0, 1], is needed")
    if not bool(raw.isfinite().all()):
        raise ValueError(f"{name} gives images with NaN or infinity: its weights are broken")
    if raw.shape[2:] == (1, 1):
        return POINTS
    low, high = (float(value) for value in raw.aminmax())
    for found in _FLOATS:
        slack = SLACK * (found.high - found.low)
        fits = low >= found.low - slack and high <= found.high + slack
        if fits and (found is not LEVELS or high > _FEW_LEVELS):
            return found
    raise ValueError(
        f"{name} gives images from {low:.4g} to {high:.4g}, which is no range of images: return them in [0, 1], signed "
        "in [-1, 1], or as uint8"
    )
