"""Weights of the images' gradients in universal perturbations and shared patches: uniform, or nearest first.

With uniform weights, images that no perturbation within the budget can fool outvote those that could be fooled. With
weights for those nearest to the boundary, too many of the others are sometimes given up. Neither is always better, so
attacks run with both and keep what fools more.
"""

from typing import Protocol

import torch
from torch import Tensor

CAP = 3.0
"""The standing (see `standings`) beyond which an image no longer counts.

With 1, images that had just been fooled were lost again: networks are not linear, and other images pull back.
"""
_FIRST, _LAST = 1.0, 0.3
"""Width of the sigmoid before the boundary, in budgets, at the first and the last step."""


class Weighting(Protocol):
    """Map standings (N,), slopes (N,) and the progress in [0, 1] to the weights (N,) of the images' gradients."""

    def __call__(self, found: Tensor, slopes: Tensor, progress: float, *, cap: float = ...) -> Tensor: ...


def standings(values: Tensor, slopes: Tensor) -> Tensor:
    """Signed distance of images from the boundary in budgets (N,): 0 is on it, -1 is one whole budget before it.

    `values` (N,) are objectives that are 0 at the boundary, `slopes` (N,) their largest increase within the budget
    in the linearised network: eps times the dual norm of the gradient. The scale of the logits cancels. Infinite where
    the slope is 0.
    """
    return torch.where(slopes > 0, values / torch.where(slopes > 0, slopes, 1), values.sign() * torch.inf)


def everybody(found: Tensor, slopes: Tensor, progress: float, *, cap: float = CAP) -> Tensor:
    """Weigh all images alike whose standing is below `cap`, and the others 0."""
    return (found < cap).to(slopes.dtype)


def nearest_first(found: Tensor, slopes: Tensor, progress: float, *, cap: float = CAP) -> Tensor:
    """Weigh by the derivative of a smooth (sigmoid) count of fooled images, over the slope.

    Before the boundary the sigmoid narrows with the progress; beyond it its width is `cap`. Dividing by the slope makes
    gradients count by their direction alone, whatever their length.
    """
    width = torch.where(found < 0, _FIRST * (_LAST / _FIRST) ** progress, cap)
    risen = torch.sigmoid((found / width).clamp(-100, 100))
    return torch.where(slopes > 0, risen * (1 - risen) / torch.where(slopes > 0, slopes, 1), 0)


WEIGHTINGS: tuple[Weighting, ...] = (everybody, nearest_first)
