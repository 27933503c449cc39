"""Protocols of generators and discriminators, as training and sampling use them; no class inherits from them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace


class Shape(NamedTuple):
    """The shape of the data: side and channels of the images, and the number of classes of a network (0: none)."""

    size: int
    channels: int
    num_classes: int


class Network(Protocol):
    """The part of `nn.Module` that is used on every network."""

    training: bool

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def train(self, mode: bool = True) -> Self: ...
    def to(self, device: torch.device | str) -> Self: ...
    def eval(self) -> Self: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class Generator(Network, Protocol):
    """Latents (N, space.dim) and labels (N,) to signed images (N, C, H, W) in [-1, 1].

    Labels are needed, and looked at, where `num_classes` > 0. In eval mode each image depends on its own row alone.
    """

    space: LatentSpace
    num_classes: int

    def __call__(self, latents: Tensor, labels: Tensor | None = None) -> Tensor: ...


class Head(Protocol):
    """The head of a discriminator: reads logits, classes and codes from features (N, D)."""

    @property
    def names_classes(self) -> bool:
        """Whether `classify` can be called."""
        ...

    @property
    def num_codes(self) -> int:
        """Columns of `guess`; 0 where there is none."""
        ...

    def __call__(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,); above 0 means real."""
        ...

    def classify(self, features: Tensor) -> Tensor:
        """Logits of the classes (N, K)."""
        ...

    def guess(self, features: Tensor) -> Tensor:
        """The codes of an InfoGAN (N, categorical + continuous): logits of the categorical one, means of the others."""
        ...


class Discriminator(Network, Protocol):
    """Signed images (N, C, H, W) and labels (N,) to logits (N,): `head(features(images, labels), labels)`.

    Labels are needed, and looked at, where `num_classes` > 0.
    """

    num_classes: int

    @property
    def head(self) -> Head: ...

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The last hidden layer (N, D), from which the head reads everything."""
        ...


@runtime_checkable
class Growing(Protocol):
    """A network that grows during training (progressive growing); `progress` in [0, 1] is the share of steps done."""

    def grow(self, progress: float) -> None: ...


@runtime_checkable
class Practising(Protocol):
    """A generator whose discriminator judges something else than its images (LAPGAN's pyramids, faded images)."""

    def exhibit(self, images: Tensor) -> Tensor:
        """Map real signed images (N, C, H, W) to what the discriminator judges: any (N, ...)."""
        ...

    def practise(self, latents: Tensor, labels: Tensor | None, real: Tensor) -> Tensor:
        """Make the fake counterpart from latents, with the real images (N, C, H, W) as context: the same shape."""
        ...
