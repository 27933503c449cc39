"""TensorFloat-32 rounds what torch's settings let it round, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

FINE = 1 + 2.0**-12
"""A number of float32 that TensorFloat-32 has not: it rounds to 1."""


def convolved(device: torch.device) -> float:
    return nn.functional.conv2d(
        torch.full((1, 1, 1, 1), FINE, device=device), torch.ones(1, 1, 1, 1, device=device)
    ).item()


def multiplied(device: torch.device) -> float:
    return (torch.full((1, 1), FINE, device=device) @ torch.ones(1, 1, device=device)).item()


def test_convolutions_are_rounded_and_products_are_not_as_torch_comes(
    with_tf32: Callable[[], Any], cuda: torch.device
) -> None:
    assert convolved(cuda) == pytest.approx(FINE, abs=0)
    with with_tf32():
        assert convolved(cuda) == 1
        assert multiplied(cuda) == pytest.approx(FINE, abs=0)


def test_torchs_settings_choose(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    with with_tf32():
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "tf32"  # type: ignore[attr-defined]
        assert convolved(cuda) == pytest.approx(FINE, abs=0)
        assert multiplied(cuda) == 1


def test_gradients_are_rounded_too(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    def gradient() -> Tensor:
        images = torch.ones(1, 1, 1, 1, device=cuda, requires_grad=True)
        loss = nn.functional.conv2d(images, torch.full((1, 1, 1, 1), FINE, device=cuda)).sum()
        (found,) = torch.autograd.grad(loss, images)
        return found

    with with_tf32():
        assert gradient().item() == 1
    assert gradient().item() == pytest.approx(FINE, abs=0)
