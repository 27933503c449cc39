import math

import pytest
import torch
from torch_fidelity.noise import batch_slerp_unit

from advgan.models.latents import LatentSpace
from advgan.sampling.interpolation import WAYS, interpolate, lerp, slerp

TIMES = torch.linspace(0, 1, 7, dtype=torch.float64)
FIRST = torch.tensor([[3.0, 0, 0], [1, 2, -2]], dtype=torch.float64)
LAST = torch.tensor([[0.0, 3, 0], [2, 1, 2]], dtype=torch.float64)


@pytest.mark.parametrize("name", WAYS)
def test_a_way_begins_and_ends_at_its_ends(name: str) -> None:
    way = WAYS[name](FIRST, LAST, TIMES)
    assert way.shape == (2, 7, 3)
    torch.testing.assert_close(way[:, 0], FIRST)
    torch.testing.assert_close(way[:, -1], LAST)


def test_lerp_has_the_mean_in_its_middle() -> None:
    torch.testing.assert_close(lerp(FIRST, LAST, TIMES)[:, 3], (FIRST + LAST) / 2)


def test_slerp_stays_on_the_sphere_at_even_angles() -> None:
    """A quarter of a circle of radius 3, in closed form."""
    way = slerp(FIRST, LAST, TIMES)
    torch.testing.assert_close(way.norm(dim=2), torch.full((2, 7), 3.0, dtype=torch.float64))
    angles = TIMES * math.pi / 2
    circle = 3 * torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], dim=1)
    torch.testing.assert_close(way[0], circle)
    middle = (FIRST + LAST) / (FIRST + LAST).norm(dim=1, keepdim=True) * 3
    torch.testing.assert_close(way[:, 3], middle)


def test_slerp_changes_the_length_evenly() -> None:
    way = slerp(FIRST, 3 * LAST, TIMES)
    torch.testing.assert_close(way.norm(dim=2), (3 + 6 * TIMES).expand(2, -1))


def test_slerp_agrees_with_torch_fidelity_on_unit_vectors() -> None:
    first, last = (torch.nn.functional.normalize(torch.randn(50, 8, generator=rng)) for rng in _generators(0, 1))
    ours = slerp(first, last, TIMES.float())
    theirs = torch.stack([batch_slerp_unit(first, last, float(time)) for time in TIMES], dim=1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def _generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_parallel_vectors_are_joined_straight() -> None:
    torch.testing.assert_close(slerp(FIRST, 2 * FIRST, TIMES), lerp(FIRST, 2 * FIRST, TIMES))
    torch.testing.assert_close(slerp(FIRST, FIRST, TIMES), FIRST[:, None].expand(-1, 7, -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opposite_vectors_are_joined_by_half_a_circle(dtype: torch.dtype) -> None:
    first = FIRST.to(dtype)
    way = slerp(first, -first, TIMES.to(dtype))
    torch.testing.assert_close(way.norm(dim=2), torch.full((2, 7), 3.0, dtype=dtype))
    torch.testing.assert_close(way[:, -1], -first, atol=1e-5, rtol=0)
    torch.testing.assert_close((way[:, 3] * first).sum(dim=1), torch.zeros(2, dtype=dtype), atol=1e-5, rtol=0)


def test_nothing_and_a_single_dimension_are_joined_straight() -> None:
    torch.testing.assert_close(slerp(0 * FIRST, LAST, TIMES), lerp(0 * FIRST, LAST, TIMES))
    single = slerp(torch.tensor([[-1.0]]), torch.tensor([[1.0]]), torch.tensor([0.0, 0.5, 1.0]))
    assert single.flatten().tolist() == [-1, 0, 1]


def test_codes_go_straight_and_the_category_stays() -> None:
    space = LatentSpace(noise_dim=4, categorical=3, continuous=2)
    latents = space.draw(0, torch.arange(12))
    way = interpolate(space, latents[:6], latents[6:], way="slerp", steps=5)
    assert torch.equal(way[..., :3], latents[:6, None, :3].expand(-1, 5, -1))
    torch.testing.assert_close(way[:, 2, 3:5], (latents[:6, 3:5] + latents[6:, 3:5]) / 2)
    torch.testing.assert_close(way[..., 5:], slerp(latents[:6, 5:], latents[6:, 5:], torch.linspace(0, 1, 5)))


def test_slerp_does_not_leave_the_cube_of_uniform_latents() -> None:
    space = LatentSpace(noise_dim=4, kind="uniform")
    latents = space.draw(0, torch.arange(2))
    with pytest.raises(ValueError, match="leaves the cube of uniform latents; choose lerp"):
        interpolate(space, latents[:1], latents[1:], way="slerp", steps=3)
    assert interpolate(space, latents[:1], latents[1:], way="lerp", steps=3).abs().max() <= 1
