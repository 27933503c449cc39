from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import kstest
from torch import Tensor

from attacks.norms import L0, L1, L2, LINF, NORMS, named_norm
from attacks.random import normal, uniform

COUNT, SHAPE = 60, (2, 3, 3)
INDICES = torch.arange(COUNT)
every_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
LENGTHS = (LINF, L2, L1)
"""The norms that are lengths: l0 counts."""
every_length = pytest.mark.parametrize("norm", LENGTHS, ids=lambda norm: norm.name)


def noise(stream: int = 0) -> Tensor:
    return normal(11, INDICES, SHAPE, stream=stream, dtype=torch.float64)


@pytest.fixture
def images(draw) -> Tensor:
    return draw(COUNT, SHAPE)


@pytest.fixture
def budgets() -> Tensor:
    """From 0 to well above what [0, 1] has room for."""
    return torch.linspace(0, 3, COUNT, dtype=torch.float64)


def test_sizes_are_those_of_the_pixels_of_each_sample() -> None:
    delta = torch.tensor([[[[0.3, -0.4]]], [[[0.0, 0.0]]]])
    for norm, size in ((LINF, 0.4), (L2, 0.5), (L1, 0.7), (L0, 2.0)):
        torch.testing.assert_close(norm.size(delta), torch.tensor([size, 0.0]))


@every_norm
def test_a_projection_lies_in_ball_and_bounds(norm, images, budgets) -> None:
    for scale in (1e-3, 0.3, 30.0):
        projected = norm.project(images + scale * noise(), images, budgets)
        assert (norm.size(projected - images) <= budgets + 1e-12).all()
        assert projected.min() >= 0
        assert projected.max() <= 1
        assert torch.equal(projected[0], images[0])  # eps 0


@every_norm
def test_float32_exceeds_a_budget_by_rounding_only(norm, images, budgets) -> None:
    images = images.float()
    projected = norm.project(images + noise().float(), images, budgets.float())
    assert (norm.size((projected - images).double()) <= budgets * (1 + 1e-6) + 1e-6).all()


@every_length
def test_what_is_inside_stays_and_what_is_outside_lands_on_the_surface(norm) -> None:
    images = torch.full((COUNT, *SHAPE), 0.5, dtype=torch.float64)
    candidate = images + 0.1 * noise()
    size = norm.size(candidate - images)
    torch.testing.assert_close(norm.project(candidate, images, size * 1.01), candidate, rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.size(norm.project(candidate, images, size * 0.7) - images), size * 0.7)


@every_norm
def test_a_budget_for_all_is_the_same_as_one_a_sample(norm, images) -> None:
    candidate, each = images + noise(), torch.full((COUNT,), 0.4, dtype=torch.float64)
    for eps, budgets in ((0.4, each), (3, 7.5 * each)):
        assert torch.equal(norm.project(candidate, images, eps), norm.project(candidate, images, budgets))
        assert torch.equal(norm.steepest(noise(), images, eps), norm.steepest(noise(), images, budgets))


@every_norm
def test_a_sample_is_treated_the_same_whatever_else_is_in_the_batch(norm, images, budgets) -> None:
    candidate = images + noise()
    whole = norm.project(candidate, images, budgets)
    moves = norm.step(noise(), images, budgets)
    for k in (0, 20, 59):
        one = slice(k, k + 1)
        assert torch.equal(norm.project(candidate[one], images[one], budgets[one]), whole[one])
        assert torch.equal(norm.step(noise()[one], images[one], budgets[one]), moves[one])


@pytest.mark.parametrize("norm", [LINF, L1], ids=["linf", "l1"])
def test_the_linf_and_l1_projections_are_the_nearest_points_of_ball_and_box(norm, images, budgets) -> None:
    """A point of a convex set is nearest to y exactly if no point of the set lies further in the direction of y."""
    candidate = images + 0.4 * noise()
    nearest = norm.project(candidate, images, budgets)
    for stream in range(200):
        other = norm.random_start(images, budgets, seed=1, indices=INDICES, stream=stream)
        assert (((candidate - nearest) * (other - nearest)).flatten(1).sum(1) <= 1e-10).all()


def bisected_l1(candidate: Tensor, images: Tensor, eps: float) -> Tensor:
    """The same projection of one image by halving the level that is taken from every change."""
    low, high = 0.0, 1e3
    for _ in range(200):
        level = (low + high) / 2
        change = (candidate - images).sign() * ((candidate - images).abs() - level).clamp(min=0)
        projected = (images + change).clamp(0, 1)
        low, high = (level, high) if (projected - images).abs().sum() > eps else (low, level)
    return projected


@pytest.mark.parametrize("scale", [0.05, 0.4, 10.0])
def test_the_l1_projection_equals_one_by_bisection(scale: float, images, budgets) -> None:
    candidate = images + scale * noise()
    candidate[:, :, 0] = images[:, :, 0] + scale * noise()[:, :, 0].sign()  # equal changes
    candidate[:, :, 1, 0] = images[:, :, 1, 0]  # and none
    projected = L1.project(candidate, images, budgets)
    for k in range(COUNT):
        expected = bisected_l1(candidate[k], images[k], budgets[k].item())
        torch.testing.assert_close(projected[k], expected, rtol=0, atol=1e-9)


def test_the_l1_projection_leaves_samples_inside_alone_when_others_are_outside() -> None:
    images = torch.full((2, 1, 1, 4), 0.5, dtype=torch.float64)
    candidate = images + torch.tensor([[0.0375], [0.5]], dtype=torch.float64)[:, :, None, None]
    projected = L1.project(candidate, images, 1.0)
    torch.testing.assert_close(L1.size(projected - images), torch.tensor([0.15, 1.0], dtype=torch.float64))


def test_the_l1_projection_is_exact_in_many_dimensions_of_float32(draw) -> None:
    images = draw(2, (3, 128, 128)).float()
    candidate = images + 0.2 * normal(0, torch.arange(2), (3, 128, 128))
    for eps in (1.0, 500.0):
        size = L1.size((L1.project(candidate, images, eps) - images).double())
        torch.testing.assert_close(size, torch.full_like(size, eps), rtol=2e-5, atol=0)


def test_steepest_moves_have_their_length_and_the_dual_norm_as_their_gain() -> None:
    images, gradient = torch.full((COUNT, *SHAPE), 0.5, dtype=torch.float64), noise()
    for norm, dual in ((LINF, L1), (L2, L2), (L1, LINF)):
        for move in (norm.steepest(gradient, images, 0.2), norm.step(gradient, images, 0.2)):
            torch.testing.assert_close(norm.size(move), torch.full((COUNT,), 0.2, dtype=torch.float64))
            torch.testing.assert_close((move * gradient).flatten(1).sum(1), 0.2 * dual.size(gradient))


def linear_optimum(gradient: np.ndarray, image: np.ndarray, eps: float) -> float:
    """The largest gradient . change with l1 size eps and image + change in [0, 1]: change = up - down, by scipy."""
    bounds = [(0, 1 - pixel) for pixel in image] + [(0, pixel) for pixel in image]
    costs = np.concatenate([-gradient, gradient])
    result = linprog(costs, A_ub=np.ones((1, len(costs))), b_ub=[eps], bounds=bounds)
    assert result.success
    return -result.fun


def test_the_steepest_l1_move_solves_the_linear_programme_in_ball_and_box(images, budgets) -> None:
    gradient = noise()
    gradient[:, :, 0] = 0
    move = L1.steepest(gradient, images, budgets)
    assert (L1.size(move) <= budgets + 1e-12).all()
    torch.testing.assert_close(L1.project(images + move, images, budgets), images + move, rtol=0, atol=1e-12)
    for k in range(COUNT):
        best = linear_optimum(gradient[k].flatten().numpy(), images[k].flatten().numpy(), budgets[k].item())
        assert (move[k] * gradient[k]).sum().item() == pytest.approx(best, abs=1e-9)


def test_an_l1_step_moves_no_pixel_by_more_than_a_quarter(images) -> None:
    move = L1.step(noise(), images, 1.5)
    assert move.abs().max() == 0.25
    assert (L1.size(move) <= 1.5 + 1e-12).all()
    assert ((images + move >= 0) & (images + move <= 1)).all()


def test_l0_counts_values_and_not_positions() -> None:
    delta = torch.zeros(1, 3, 2, 2)
    delta[0, :, 0, 0] = 0.1
    assert L0.size(delta).tolist() == [3]


def subsets(images: Tensor, count: int) -> list[tuple[int, ...]]:
    return list(combinations(range(images[0].numel()), count))


def test_the_l0_projection_is_a_nearest_point_of_ball_and_box() -> None:
    """Of all choices of three values the nearest, with those values cut at the box; tried one by one."""
    images, candidate = uniform(1, INDICES, (1, 2, 4)), 2 * uniform(2, INDICES, (1, 2, 4)) - 0.5
    found = (L0.project(candidate, images, 3.9) - candidate).flatten(1).norm(dim=1)
    rest, cut = (images - candidate).flatten(1), (candidate.clamp(0, 1) - candidate).flatten(1)
    distances = []
    for subset in subsets(images, 3):
        distance = rest.clone()
        distance[:, subset] = cut[:, subset]
        distances.append(distance.norm(dim=1))
    torch.testing.assert_close(found, torch.stack(distances).amin(dim=0))


def test_the_l0_projection_leaves_what_is_inside_and_counts_whole_values() -> None:
    images = torch.full((4, 1, 1, 6), 0.5)
    candidate = images + torch.tensor([0.1, 0, -0.3, 0, 0.2, 0])
    projected = L0.project(candidate, images, torch.tensor([0.9, 1.0, 2.7, 3.0]))
    assert L0.size(projected - images).tolist() == [0, 1, 2, 3]
    assert torch.equal(projected[3], candidate[3])
    assert (projected != images).squeeze().tolist()[2] == [False, False, True, False, True, False]


def test_the_steepest_l0_move_gains_most_of_all_choices_of_values() -> None:
    images, gradient = uniform(1, INDICES, (1, 2, 4)), normal(2, INDICES, (1, 2, 4))
    room = torch.where(gradient > 0, 1 - images, images)
    gains = (gradient.abs() * room).flatten(1)
    best = torch.stack([gains[:, subset].sum(dim=1) for subset in subsets(images, 3)]).amax(dim=0)
    move = L0.steepest(gradient, images, 3.0)
    torch.testing.assert_close((gradient * move).flatten(1).sum(dim=1), best)
    assert (L0.size(move) <= 3).all()
    stepped = L0.project(images + L0.step(gradient, images, 1.0), images, 3.0)
    torch.testing.assert_close((gradient * (stepped - images)).flatten(1).sum(dim=1), best, rtol=0.02, atol=0)
    assert not L0.step(gradient, images, 0.0).any()


def test_an_l0_step_lets_go_of_a_value_for_a_better_one() -> None:
    images = torch.full((1, 1, 1, 3), 0.5)
    current = images + torch.tensor([0.5, 0, 0])
    stepped = L0.project(current + L0.step(torch.tensor([[[[0.1, 1.0, 0.0]]]]), current, 1.0), images, 1)
    assert stepped.flatten().tolist() == [0.5, 1.0, 0.5]


@every_norm
def test_the_length_of_a_gradient_does_not_matter_and_none_is_no_move(norm, images) -> None:
    gradient, images = noise().float(), images.float()
    for function in (norm.steepest, norm.step):
        for scale in (1e-30, 1e30):
            torch.testing.assert_close(function(scale * gradient, images, 1.3), function(gradient, images, 1.3))
        assert not function(0 * gradient, images, 1.3).any()


def test_random_starts_are_uniform_in_the_volume_of_the_ball() -> None:
    """The share of the ball within radius r is r^d, so that size^d is uniform; each pixel is symmetric about 0."""
    count, pixels = 4000, 6
    images = torch.full((count, 1, 2, 3), 0.5, dtype=torch.float64)
    for norm in LENGTHS:
        start = norm.random_start(images, 0.4, seed=3, indices=torch.arange(count))
        radius = norm.size(start - images) / 0.4
        assert kstest((radius**pixels).numpy(), "uniform").pvalue > 1e-3
        assert (start - images).mean(0).abs().max() < 0.4 / count**0.5 * 4
        assert (start - images).flatten(1).T.corrcoef().fill_diagonal_(0).abs().max() < 0.08


@every_norm
def test_a_random_start_depends_on_seed_index_and_stream_alone(norm, images, budgets) -> None:
    whole = norm.random_start(images, budgets, seed=3, indices=INDICES)
    order = INDICES.flip(0)
    other = norm.random_start(images[order], budgets[order], seed=3, indices=order)
    assert torch.equal(other[order], whole)
    for options in ({"seed": 4}, {"seed": 3, "stream": 1}):
        again = norm.random_start(images, budgets, indices=INDICES, **options)
        assert ((again != whole).flatten(1).any(1) | (budgets < 2 * (norm is L0)))[1:].all()


@every_norm
def test_a_random_start_is_in_the_ball_and_the_bounds(norm, images, budgets) -> None:
    start = norm.random_start(images, budgets, seed=3, indices=INDICES)
    assert (norm.size(start - images) <= budgets + 1e-12).all()
    assert ((start >= 0) & (start <= 1)).all()


@every_norm
def test_an_empty_batch_passes_through(norm) -> None:
    empty = uniform(0, torch.arange(0), SHAPE)
    for result in (norm.project(empty, empty, 0.3), norm.steepest(empty, empty, 0.3), norm.step(empty, empty, 0.3)):
        assert result.shape == empty.shape
    assert norm.random_start(empty, 0.3, seed=0, indices=torch.arange(0)).shape == empty.shape


def test_a_norm_is_named_or_refused() -> None:
    assert named_norm("l2") is L2
    assert named_norm(LINF) is LINF
    with pytest.raises(ValueError, match="unknown norm 'l3': choose from linf, l2, l1, l0"):
        named_norm("l3")
