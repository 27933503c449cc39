"""What training and sampling ask of a generator and a discriminator; nothing inherits from this."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn


class Network(Protocol):
    """The part of `nn.Module` that is used on every network."""

    training: bool

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def train(self, mode: bool = True) -> Self: ...
    def to(self, device: torch.device | str) -> Self: ...
    def eval(self) -> Self: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class Generator(Network, Protocol):
    """Latents (N, latent_dim) and labels (N,) to signed images (N, C, H, W) in [-1, 1].

    Labels are needed, and looked at, where `num_classes` > 0. In eval mode each image depends on its own row alone.
    """

    latent_dim: int
    latent_kind: str
    num_classes: int

    def __call__(self, latents: Tensor, labels: Tensor | None = None) -> Tensor: ...


class Discriminator(Network, Protocol):
    """Signed images (N, C, H, W) and labels (N,) to logits (N,); above 0 means real."""

    num_classes: int

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer (N, D), which the logits are read from."""
        ...
