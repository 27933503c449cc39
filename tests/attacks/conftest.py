"""Networks that the tests of attacks share: exact where a closed form is wanted, random where agreement is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attacks import Classifier
from attacks.random import seeded, uniform


class Rowwise(nn.Module):
    """Two layers whose sums run within a row, so that logits do not depend on the batch, not even in the last bit.

    It refuses a batch without images, as some networks do.
    """

    def __init__(self, pixels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(width, pixels, dtype=torch.float64) / pixels**0.5 * 4)
        self.second = nn.Parameter(torch.randn(classes, width, dtype=torch.float64) / width**0.5 * 2)

    def forward(self, images: Tensor) -> Tensor:
        assert len(images) > 0
        hidden = ((images.flatten(1)[:, None] - 0.5) * self.first).sum(dim=2).tanh()
        return (hidden[:, None] * self.second).sum(dim=2)


@pytest.fixture
def rowwise() -> Classifier:
    """Five classes, images (N, 1, 4, 4), float64."""
    with seeded(1):
        return Classifier(Rowwise(16, 5))


@pytest.fixture
def convolutional() -> Classifier:
    """Four classes, images (N, 3, 8, 8), float64, normalised inside."""
    with seeded(2):
        network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 4)).double()
    return Classifier(network, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture
def linear() -> Callable[[Tensor, float], Classifier]:
    """(weight, bias) to a classifier of two classes with logits (0, weight . image + bias)."""

    def build(weight: Tensor, bias: float) -> Classifier:
        layer = nn.Linear(weight.numel(), 2, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.stack([torch.zeros_like(weight.flatten()), weight.flatten()]))
            layer.bias.copy_(torch.tensor([0, bias], dtype=weight.dtype))
        return Classifier(nn.Sequential(nn.Flatten(), layer))

    return build


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    """(count, shape) to images in (0, 1), float64, of which a few pixels are 0 and a few 1."""

    def build(count: int, shape: tuple[int, ...] = (1, 4, 4), *, seed: int = 5) -> Tensor:
        values = uniform(seed, torch.arange(count), shape, dtype=torch.float64)
        return (values * 1.2 - 0.1).clamp(0, 1)

    return build


class Operators(TorchDispatchMode):
    """Counts the operators that torch dispatches, but for those that only look at the same memory in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += not operation.is_view
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def count_operators() -> Callable[[Callable[[], object]], int]:
    """How many operators a call dispatches, passes of the network among them."""

    def count(call: Callable[[], object]) -> int:
        with Operators() as seen:
            call()
        return seen.count

    return count
