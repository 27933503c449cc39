"""Whom a change for many images is made for: everybody alike, or first those who are nearest to being fooled.

Climbing for everybody alike, images that no change within the budget can fool outvote those that one could. Climbing
for the nearest first gives up the far ones, and with them sometimes too many. Neither is always better, so attacks
climb by both and keep what fools more.
"""

from typing import Protocol

import torch
from torch import Tensor

CAP = 3.0
"""How far beyond the boundary an image is taken before it leaves the change to the others, in budgets.

A network bends, and the others pull back: with 1, images that had just been fooled were lost again.
"""
_FIRST, _LAST = 1.0, 0.3
"""How many budgets before the boundary an image still counts, at the beginning and at the end."""


class Weighting(Protocol):
    """Standings (N,), slopes (N,) and the progress from 0 to 1 to the weights (N,) of the images' gradients."""

    def __call__(self, found: Tensor, slopes: Tensor, progress: float, *, cap: float = ...) -> Tensor: ...


def standings(values: Tensor, slopes: Tensor) -> Tensor:
    """How far images are beyond the boundary, in budgets: -1 is just within reach, 0 is on it. Both (N,).

    `values` are objectives that are 0 at the boundary, `slopes` how much the whole budget adds to them at most, as far
    as the network is linear. The scale of the logits cancels. An image without a slope is out of reach for ever.
    """
    return torch.where(slopes > 0, values / torch.where(slopes > 0, slopes, 1), values.sign() * torch.inf)


def everybody(found: Tensor, slopes: Tensor, progress: float, *, cap: float = CAP) -> Tensor:
    """The same for all who are not fooled well enough."""
    return (found < cap).to(slopes.dtype)


def nearest_first(found: Tensor, slopes: Tensor, progress: float, *, cap: float = CAP) -> Tensor:
    """The slope of a smooth count of who is fooled: ever sharper before the boundary, flat up to the cap beyond it.

    Gradients count by their direction alone: a steep one is no reason to be heard more.
    """
    width = torch.where(found < 0, _FIRST * (_LAST / _FIRST) ** progress, cap)
    risen = torch.sigmoid((found / width).clamp(-100, 100))
    return torch.where(slopes > 0, risen * (1 - risen) / torch.where(slopes > 0, slopes, 1), 0)


WEIGHTINGS: tuple[Weighting, ...] = (everybody, nearest_first)
