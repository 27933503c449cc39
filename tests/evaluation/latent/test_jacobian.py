"""Jacobians of generators that are known in full, and of every family."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.models.gans.families import GANS
from advgan.models.latents import LatentSpace
from advgan.sampling.stored import load_gan
from evaluation.latent.jacobian import conditions, jacobians, log_condition, resolution, without_direction


class Scaled(nn.Module):
    """Signed images (N, 1, 3, 4): noise times singular values, along orthonormal directions."""

    num_classes = 0

    def __init__(self, *values: float, kind: str = "normal", normalises: bool = False) -> None:
        super().__init__()
        self.space, self.normalises = LatentSpace(len(values), kind), normalises
        noise = torch.randn(12, len(values), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.weight = nn.Parameter((torch.linalg.qr(noise).Q * torch.tensor(values).double()).float())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        rows = latents / latents.norm(dim=1, keepdim=True) if self.normalises else latents
        return (rows @ self.weight.T).reshape(-1, 1, 3, 4)


def test_a_linear_generator_has_its_own_singular_values() -> None:
    generator = Scaled(4.0, 2.0, 1.0, 0.5)
    latents = generator.space.draw(0, torch.arange(5))
    for jacobian in jacobians(generator, latents, batch_size=3):
        torch.testing.assert_close(jacobian, generator.weight.detach())
    found = conditions(generator, latents)
    assert found.logs.tolist() == pytest.approx([2 * math.log(8)] * 5, rel=1e-5)
    assert not found.singular.any()


def test_an_isometry_is_even() -> None:
    generator = Scaled(3.0, 3.0, 3.0)
    assert conditions(generator, generator.space.draw(0, torch.arange(2))).logs.tolist() == pytest.approx(
        [0, 0], abs=1e-5
    )


@pytest.mark.parametrize("values", [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_an_ignored_latent_is_singular(values: tuple[float, ...]) -> None:
    generator = Scaled(*values)
    found = conditions(generator, generator.space.draw(0, torch.arange(3)))
    assert found.singular.all()
    assert found.logs.tolist() == [resolution(torch.zeros(12, 3))] * 3


def test_the_length_of_latents_on_a_sphere_does_not_count() -> None:
    """What is left at right angles to a latent along the first axis has the other axes' singular values."""
    generator = Scaled(100.0, 2.0, 1.0, kind="sphere")
    latents = torch.tensor([[3**0.5, 0.0, 0.0]])
    assert float(conditions(generator, latents).logs) == pytest.approx(2 * math.log(2), rel=1e-5)
    assert float(conditions(Scaled(100.0, 2.0, 1.0), latents).logs) == pytest.approx(2 * math.log(100), rel=1e-5)


def test_a_generator_that_normalises_its_latents_is_not_singular_by_that() -> None:
    generator = Scaled(1.0, 1.0, 1.0, 1.0, normalises=True)
    found = conditions(generator, generator.space.draw(0, torch.arange(4)))
    assert found.logs.tolist() == pytest.approx([0.0] * 4, abs=1e-4)
    assert not found.singular.any()


def test_a_direction_is_taken_out_exactly() -> None:
    matrix = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    direction = nn.functional.normalize(torch.tensor([1.0, 2.0, 0.0, -1.0]).double(), dim=0)
    left = torch.linalg.svdvals(without_direction(matrix, direction))
    projected = matrix - (matrix @ direction)[:, None] * direction
    torch.testing.assert_close(left, torch.linalg.svdvals(projected)[:3])


def test_more_latents_than_pixels_are_judged_by_those_that_can_differ() -> None:
    wide = torch.diag(torch.tensor([3.0, 1.0]))
    assert log_condition(torch.cat([wide, torch.zeros(2, 3)], dim=1)) == pytest.approx(2 * math.log(3))


@pytest.mark.parametrize("family", [*GANS])
def test_every_family_can_be_differentiated(family: str, tmp_path: Path, write_gan: Callable[..., Path]) -> None:
    """Forward mode against the quotient of differences, which kinks between the two sides make inexact."""
    generator = load_gan(write_gan(tmp_path, family)).generator
    latents = generator.space.draw(0, torch.arange(2))
    labels = torch.arange(2) if generator.num_classes else None
    (_, jacobian) = jacobians(generator, latents, labels)
    step = 1e-3
    with torch.no_grad():
        moved = [generator(latents[1:] + step * axis, None if labels is None else labels[1:]) for axis in torch.eye(6)]
        back = [generator(latents[1:] - step * axis, None if labels is None else labels[1:]) for axis in torch.eye(6)]
    quotient = torch.stack([(a - b).flatten() / (2 * step) for a, b in zip(moved, back, strict=True)], dim=1)
    assert float((jacobian - quotient).norm() / quotient.norm()) < 0.1


def test_a_categorical_code_has_no_column_and_the_mode_is_left(tmp_path: Path, write_gan: Callable[..., Path]) -> None:
    generator = load_gan(write_gan(tmp_path, "mlp", categorical=3, continuous=2)).generator.train()
    (jacobian,) = jacobians(generator, generator.space.draw(0, torch.arange(1)))
    assert jacobian.shape == (192, 8)
    assert generator.training
