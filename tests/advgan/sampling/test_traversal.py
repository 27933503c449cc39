import pytest
import torch

from advgan.models.latents import LatentSpace
from advgan.sampling.traversal import traverse

SPACE = LatentSpace(noise_dim=4, categorical=3, continuous=2)
LATENTS = SPACE.draw(0, torch.arange(5))


@pytest.mark.parametrize(("coordinate", "column"), [("0", 5), ("3", 8), ("code0", 3), ("code1", 4)])
def test_one_coordinate_goes_from_minus_one_to_one_and_the_others_stay(coordinate: str, column: int) -> None:
    moved = traverse(SPACE, LATENTS, coordinate, steps=5)
    assert moved.values == (-1, -0.5, 0, 0.5, 1)
    assert moved.latents[..., column].tolist() == [[-1, -0.5, 0, 0.5, 1]] * 5
    others = [place for place in range(SPACE.dim) if place != column]
    assert torch.equal(moved.latents[..., others], LATENTS[:, None, others].expand(-1, 5, -1))


def test_a_categorical_code_takes_each_value() -> None:
    moved = traverse(SPACE, LATENTS, "categorical", steps=99)
    assert moved.values == (0, 1, 2)
    assert torch.equal(moved.latents[..., :3], torch.eye(3).expand(5, -1, -1))
    assert torch.equal(moved.latents[..., 3:], LATENTS[:, None, 3:].expand(-1, 3, -1))


@pytest.mark.parametrize("coordinate", ["4", "-1", "code2", "code", "x", ""])
def test_a_missing_coordinate_is_refused_with_those_that_are_there(coordinate: str) -> None:
    with pytest.raises(ValueError, match="this generator has categorical, code0 to code1, 0 to 3"):
        traverse(SPACE, LATENTS, coordinate, steps=3)


def test_a_generator_without_codes_has_none_to_move() -> None:
    space = LatentSpace(noise_dim=4)
    with pytest.raises(ValueError, match="traverse categorical: no such coordinate; this generator has 0 to 3"):
        traverse(space, space.draw(0, torch.arange(2)), "categorical", steps=3)
