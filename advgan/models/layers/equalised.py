"""Layers with an equalised learning rate, and the norm that goes with them (Karras et al., 2018, sections 4.1, 4.2).

Adam moves every weight by about its learning rate, whatever the weight's size, so weights of a smaller initial scale
change relatively faster. Here all start at N(0, 1), and He's constant of the layer is applied at run time: all weights
then have the same dynamic range and learn at the same speed.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

HE = math.sqrt(2)
"""The gain that keeps the mean square of activations behind a ReLU (He et al., 2015)."""


class EqualisedLinear(nn.Linear):
    """A linear layer with weight N(0, 1), which is scaled by gain / sqrt(inputs) at run time, and bias 0."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = HE) -> None:
        super().__init__(inputs, outputs)
        self.scale = gain / math.sqrt(inputs)

    def reset_parameters(self) -> None:
        _start(self)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.scale * self.weight, self.bias)


class EqualisedConv2d(nn.Conv2d):
    """A convolution with weight N(0, 1), scaled by gain / sqrt(inputs kernel^2) at run time, and bias 0."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, padding: int = 0, gain: float = HE) -> None:
        super().__init__(inputs, outputs, kernel, padding=padding)
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def reset_parameters(self) -> None:
        _start(self)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.scale * self.weight, self.bias)


class PixelNorm(nn.Module):
    """Scale the features at each place to a mean square of 1: (N, C, ...) to the same, over dimension 1.

    Samples and places stay apart, and nothing is learnt: it only keeps magnitudes from running away.
    """

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.rsqrt(features.square().mean(dim=1, keepdim=True) + 1e-8)


def _start(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.normal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
