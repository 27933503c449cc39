"""Stacked digits as a classifier of single digits sees them, channel by channel (Metz et al., 2017)."""

import torch
from torch import Tensor

from evaluation.features.features import Extractor


def stacked_extractor(digit: Extractor) -> Extractor:
    """Look at each of the three channels through the extractor of grey digits.

    Features stand beside each other; the probability of class 100a + 10b + c is the product of those of its digits, so
    the most probable class is the triple of the most probable digits. `evaluation.modes.points` counts modes and
    their KL divergence from equal shares, as PacGAN does with 26,000 images.
    """

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        values, digits = digit.function(images.flatten(0, 1)[:, None])
        first, second, third = digits.unflatten(0, (-1, 3)).unbind(dim=1)
        return values.unflatten(0, (-1, 3)).flatten(1), torch.einsum("na,nb,nc->nabc", first, second, third).flatten(1)

    return Extractor(digit.name, digit.digest, look, f"each channel apart; {digit.protocol}", held_out=digit.held_out)
