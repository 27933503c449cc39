"""An untrained network with fixed random weights: the extractor for images without classes."""

from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from advgan.storage.checkpoints import parameters_digest
from attacks.random import normal
from evaluation.features.features import Extractor, single_class

RANDOM = "random"
NUM_FEATURES = 128
LARGEST = 64
"""Pixels; larger images are averaged down to so many."""
_WIDTHS = (3, 32, 64, 128)
EDGES = 8.0
"""Weight of edges beside brightness."""
_GRID = 4
"""Places to a side at which the last maps are looked at."""
_SEED = 0


def random_extractor(*, device: torch.device | str = "cpu") -> Extractor:
    """Make an extractor of a small random convolutional network (Naeem et al., 2020): features (N, 128), no classes.

    Its features are sensitive to edges, textures and their places, not to their meaning; unlike pixels they change
    little under a shift by one pixel. It needs neither labels nor a download, and is the same for all data, so
    generators of different images can be compared relative to their floors.
    """
    weights = {name: tensor.to(device) for name, tensor in _weights().items()}

    @torch.no_grad()
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        maps = _at_most(images.to(device).float(), LARGEST).expand(-1, 3, -1, -1) * 2 - 1
        for layer in range(len(_WIDTHS) - 1):
            maps = F.leaky_relu(F.conv2d(maps, weights[f"convolution{layer}"], padding=1), 0.2)
            maps = F.avg_pool2d(maps, 2) if maps.shape[2] >= 2 * _GRID else maps
        features = F.adaptive_avg_pool2d(maps, _GRID).flatten(1) @ weights["projection"]
        return features, single_class(features)

    digest = parameters_digest(_weights())
    return Extractor(RANDOM, digest, look, f"untrained convolutional network {digest}, images of at most 64 pixels")


@cache
def _weights() -> dict[str, Tensor]:
    """He's normal weights, a function of the seed on every machine."""
    found = {}
    for layer, (inputs, outputs) in enumerate(pairwise(_WIDTHS)):
        drawn = normal(_SEED, torch.arange(outputs), (inputs, 3, 3), stream=layer)
        if layer == 0:  # half of the first filters see differences alone, which are small in photographs
            drawn[: outputs // 2] = (drawn - drawn.mean(dim=(2, 3), keepdim=True))[: outputs // 2] * EDGES
        found[f"convolution{layer}"] = drawn * (2 / (9 * inputs)) ** 0.5
    inputs = _WIDTHS[-1] * _GRID**2
    drawn = normal(_SEED, torch.arange(NUM_FEATURES), (inputs,), stream=len(_WIDTHS))
    return {**found, "projection": drawn.T.contiguous() / inputs**0.5}


def _at_most(images: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(images, side) if images.shape[2] > side else images
