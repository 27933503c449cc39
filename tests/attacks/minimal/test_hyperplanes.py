"""Whether moves onto a hyperplane within [0, 1] are the shortest, by linear programs and by the dual's one number."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from attacks import L1, L2, LINF, NORMS
from attacks.minimal.hyperplanes import HYPERPLANE_NORMS, climbed, distances, move_onto, sorted_out
from attacks.random import normal, uniform

every_norm = pytest.mark.parametrize("norm", [NORMS[name] for name in HYPERPLANE_NORMS], ids=HYPERPLANE_NORMS)
COUNT, SHAPE = 24, (1, 3, 4)


@pytest.fixture
def points(draw) -> Tensor:
    return draw(COUNT, SHAPE)


@pytest.fixture
def normals() -> Tensor:
    """Of very different lengths, a third of their entries 0."""
    values = normal(2, torch.arange(COUNT), SHAPE, dtype=torch.float64)
    values = values * (uniform(3, torch.arange(COUNT), SHAPE, dtype=torch.float64) > 1 / 3)
    return values * torch.logspace(-4, 4, COUNT, dtype=torch.float64)[:, None, None, None]


@pytest.fixture
def values(points, normals) -> Tensor:
    """From 2 to 95 % of what the function can change by, upwards and downwards: bounds hold from no pixel to most."""
    room = torch.where(normals > 0, points, 1 - points) * normals.abs()
    other = torch.where(normals > 0, 1 - points, points) * normals.abs()
    shares = torch.linspace(0.02, 0.95, COUNT, dtype=torch.float64)
    signs = torch.where(torch.arange(COUNT) % 2 == 0, 1, -1)
    return signs * shares * torch.where(signs > 0, room.flatten(1).sum(1), other.flatten(1).sum(1))


def program(norm, point: Tensor, slope: Tensor, value: float) -> float:
    """The least norm of a move by linear programming; its variables are the move and its size (linf) or sizes (l1)."""
    count = point.numel()
    sizes = 1 if norm is LINF else count
    spread = np.ones((count, 1)) if norm is LINF else np.eye(count)
    solution = linprog(
        np.concatenate([np.zeros(count), np.ones(sizes)]),
        A_ub=np.block([[np.eye(count), -spread], [-np.eye(count), -spread]]),
        b_ub=np.zeros(2 * count),
        A_eq=np.concatenate([slope.flatten().numpy(), np.zeros(sizes)])[None] / slope.abs().max().item(),
        b_eq=[-value / slope.abs().max().item()],
        bounds=[(-x, 1 - x) for x in point.flatten().tolist()] + [(0, None)] * sizes,
    )
    assert solution.success
    return solution.fun


def projection(point: Tensor, slope: Tensor, value: float) -> float:
    """The least l2 norm: the move is clip(point - t * slope) - point for the t that a bisection of the dual finds."""
    slope, value = slope / slope.abs().max(), value / slope.abs().max().item()
    low, high = -1e6, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        move = (point - middle * slope).clamp(0, 1) - point
        low, high = (middle, high) if value + (slope * move).sum() > 0 else (low, middle)
    return move.norm().item()


@every_norm
def test_a_move_ends_on_the_hyperplane_and_none_is_shorter(norm, points, normals, values) -> None:
    moves = move_onto(norm, points, normals, values)
    assert ((points + moves >= -1e-15) & (points + moves <= 1 + 1e-15)).all()
    left = values + (normals * moves).sum(dim=(1, 2, 3))
    assert (left.abs() <= 1e-12 * normals.abs().sum(dim=(1, 2, 3))).all()
    shortest = [
        projection(point, slope, value) if norm is L2 else program(norm, point, slope, value)
        for point, slope, value in zip(points, normals, values.tolist(), strict=True)
    ]
    torch.testing.assert_close(norm.size(moves), torch.tensor(shortest, dtype=torch.float64), rtol=1e-7, atol=1e-9)


@every_norm
def test_where_bounds_are_far_the_length_is_the_distance(norm, normals) -> None:
    points = torch.full_like(normals, 0.5)
    values = 0.1 * normals.abs().amax(dim=(1, 2, 3))
    expected = distances(norm, normals[:, None], values[:, None]).squeeze(1)
    torch.testing.assert_close(norm.size(move_onto(norm, points, normals, values)), expected)
    dual = {LINF: L1, L2: L2, L1: LINF}[norm]
    torch.testing.assert_close(expected, values / dual.size(normals))


@every_norm
def test_a_hyperplane_outside_the_bounds_is_approached_as_far_as_they_allow(norm, points, normals) -> None:
    values = 2 * normals.abs().sum(dim=(1, 2, 3))
    corner = torch.where(normals > 0, 0, torch.where(normals < 0, 1, points))
    torch.testing.assert_close(points + move_onto(norm, points, normals, values), corner)


@every_norm
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_to_do_is_no_move(norm, dtype, points, normals) -> None:
    points, normals, values = points.to(dtype), normals.to(dtype), torch.ones(COUNT, dtype=dtype)
    for slope, value in [(normals, 0 * values), (0 * normals, values), (normals, torch.nan * values)]:
        moves = move_onto(norm, points, slope, value)
        assert torch.equal(moves, torch.zeros_like(points))
        assert moves.dtype == dtype


@every_norm
def test_float32_is_as_exact_as_float32_can_be(norm) -> None:
    """Sums over many pixels run in float64."""
    points = uniform(4, torch.arange(4), (3, 32, 32))
    normals = normal(5, torch.arange(4), (3, 32, 32))
    values = normals.flatten(1).abs().sum(1) * torch.tensor([0.001, 0.01, -0.1, 0.3])
    moves = move_onto(norm, points, normals, values).double()
    left = values.double() + (normals.double() * moves).sum(dim=(1, 2, 3))
    assert (left.abs() < 1e-4 * values.abs()).all()


@every_norm
def test_each_row_is_for_itself(norm, points, normals, values) -> None:
    whole = move_onto(norm, points, normals, values)
    for row in range(0, COUNT, 5):
        alone = move_onto(norm, points[row : row + 1], normals[row : row + 1], values[row : row + 1])
        assert torch.equal(alone[0], whole[row])


def test_a_function_that_nothing_changes_is_infinitely_far(normals) -> None:
    assert distances(L2, torch.zeros(2, 3, 1, 2, 2), torch.zeros(2, 3)).isinf().all()


def test_climbing_and_sorting_find_the_same_level() -> None:
    """From nothing needed to more than there is, with pixels that have no room and some that have no slope."""
    pixels = (2, 40, 60)
    room, slopes = (uniform(seed, torch.arange(2), pixels[1:], dtype=torch.float64) for seed in (1, 2))
    room, slopes = room * (room > 0.3), slopes * (slopes > 0.2)
    points, gains = room * (slopes > 0), room * slopes
    shares = torch.linspace(0, 1.2, 40, dtype=torch.float64)[:, None]
    needed = shares * gains.sum(dim=2, keepdim=True)
    climbed_to, sorted_to = climbed(points, gains, slopes, needed), sorted_out(points, gains, slopes, needed)
    inside = (shares < 1).expand_as(needed)
    torch.testing.assert_close(climbed_to[inside], sorted_to[inside], rtol=1e-12, atol=1e-14)
    assert (climbed_to[shares.expand_as(needed) > 1] >= points.max()).all()
    assert (sorted_to[shares.expand_as(needed) > 1] >= points.max()).all()
    reached = (climbed_to.minimum(points) * slopes).sum(dim=2, keepdim=True)
    torch.testing.assert_close(reached, needed.minimum(gains.sum(dim=2, keepdim=True)))
