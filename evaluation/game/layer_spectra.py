"""Spectral norms (largest singular values) of the weights by layer, and their growth in training."""

from collections.abc import Sequence
from statistics import median
from typing import cast

from torch import Tensor, nn

from advgan.models.interface import Network
from evaluation.game.spectra import largest_singular_values


def layer_spectra(network: Network) -> dict[str, float]:
    """The largest singular value of every weight with two dimensions or more, by layer (Brock et al., 2019)."""
    training = network.training
    network.eval()  # reading a weight under spectral norm would move its vectors in train mode
    try:
        modules = cast(nn.Module, network).named_modules()
        weighted = [(name, getattr(module, "weight", None)) for name, module in modules]
        names = [name for name, weight in weighted if isinstance(weight, Tensor) and weight.ndim > 1]
        return dict(zip(names, largest_singular_values(network), strict=True))
    finally:
        network.train(training)


def growth(looks: Sequence[Sequence[float]]) -> float:
    """The largest factor by which a layer's value in the last look exceeds its median in those before; (T, L), T >= 2.

    Its sudden growth comes before collapse; steady growth stays near 1. Raises ValueError for fewer than two looks.
    """
    if len(looks) < 2:
        raise ValueError("one look shows no growth: give two or more")
    *before, last = looks
    usual = [median(values) for values in zip(*before, strict=True)]
    return max((now / was if was else float(now > 0) for now, was in zip(last, usual, strict=True)), default=1.0)
