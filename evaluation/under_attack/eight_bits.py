"""Attack within the 256 levels of 8 bits: only images that a file can hold count, during the attack and after it."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from advgan.ranges import to_bytes, to_unit
from attacks import Attack, Classifier
from attacks.norms import Norm
from evaluation.under_attack.bound_attacks import eps_of, norm_of
from evaluation.under_attack.probes import rewrapped

_SAME = 1e-3
"""Of a level: what float32 may be off for a pixel on one."""


class EightBit(Classifier):
    """A classifier that sees every image rounded to 8 bits, and gives the gradient there as that of the image.

    So an attack judges its success by the image that is kept in the end, whatever it knows of the network.
    """

    def forward(self, images: Tensor) -> Tensor:
        """As any classifier, of the rounded images."""
        rounded: Tensor = _Rounded.apply(images)
        return super().forward(rounded)


class _Rounded(torch.autograd.Function):
    """Rounding with a derivative of 1 (straight through: Athalye et al., 2018)."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return _round(images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def seen_in_eight_bits(classifier: Classifier) -> EightBit:
    """The same network, which counts its passes with the classifier's own."""
    seen = rewrapped(EightBit, classifier)
    seen.passes = classifier.passes
    return seen


def within_levels(attack: Attack, images: Tensor) -> Attack:
    """The attack with a linf budget of whole levels, in which rounding leads nowhere out of the ball.

    Its results are rounded to 8 bits: to the nearest level or, where that leaves the ball of another norm, towards the
    image. `images` (N, C, H, W) are those that are attacked, on levels themselves.
    """
    norm, eps = norm_of(attack), eps_of(attack)
    bound = getattr(attack, "keywords", {}).get("eps") if eps is None else eps
    if norm is None or bound is None:
        return _Levelled(attack, None, None)
    given = attack
    if norm.name == "linf":
        levels = torch.as_tensor(bound, dtype=torch.float64) * 255
        whole = (levels + _SAME).floor() / 255
        given = partial(attack, eps=float(whole) if whole.ndim == 0 else whole)  # type: ignore[call-arg]
    return _Levelled(given, norm, torch.as_tensor(bound, dtype=torch.float64).expand(len(images)))


class _Levelled:
    """An attack whose results are rounded into the ball."""

    def __init__(self, attack: Attack, norm: Norm | None, eps: Tensor | None) -> None:
        self.attack, self.norm, self.eps = attack, norm, eps

    def __call__(self, classifier: Classifier, images: Tensor, labels: Tensor, **options: Any) -> Tensor:
        found = self.attack(classifier, images, labels, **options).detach()
        return into_levels(found, images, self.norm, self.eps)


def check_levels(images: Tensor) -> None:
    """Raise ValueError unless every pixel is one of the 256 levels k / 255."""
    off = float((images * 255 - (images * 255).round()).abs().max()) if images.numel() else 0.0
    if off > 1e-2:
        raise ValueError(
            "eight_bit needs images of 8 bits, with pixels of k / 255: a budget around others may hold none at "
            f"all. These are {off:.2g} of a level away: round them, (images * 255).round() / 255, or leave it out"
        )


def into_levels(found: Tensor, images: Tensor, norm: Norm | None, eps: float | Tensor | None) -> Tensor:
    """Round to the nearest level or, where that leaves the ball, towards the image; eps is a number or (N,)."""
    near = _round(found)
    if norm is None or eps is None:
        return near
    levels = found * 255
    inward = torch.where(found > images, (levels + _SAME).floor(), (levels - _SAME).ceil()).clamp(0, 255) / 255
    outside = norm.size(near - images) > torch.as_tensor(eps).to(images) * (1 + 1e-6) + _SAME / 255
    return torch.where(outside[:, None, None, None], inward, near)


def _round(images: Tensor) -> Tensor:
    return to_unit(to_bytes(images), images.dtype)
