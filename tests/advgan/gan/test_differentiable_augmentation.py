import pytest
import torch
from torch import Tensor

from advgan.gan.differentiable_augmentation import (
    AUGMENTATIONS,
    augment,
    colour,
    cutout,
    draw_changes,
    flip,
    translation,
)
from attacks.random import uniform

every_name = pytest.mark.parametrize("name", AUGMENTATIONS)


def pictures(count: int = 6, channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def draws(*values: float) -> Tensor:
    return torch.tensor([values])


def apply(names: list[str], images: Tensor, *, stream: int = 0, share: float | Tensor = 1.0) -> Tensor:
    numbers = torch.arange(len(images)) + 40
    (drawn,) = draw_changes(names, seed=3, numbers=numbers, streams=torch.tensor([stream]))
    return augment(images, names, draws=drawn, share=share)


def test_colour_at_its_neutral_draws_changes_nothing_and_else_what_it_says() -> None:
    images = pictures(1)
    torch.testing.assert_close(colour(images, draws(0.5, 0.5, 0.5)), images)
    torch.testing.assert_close(colour(images, draws(1.0, 0.5, 0.5)), images + 0.5)
    grey = colour(images, draws(0.5, 0.0, 0.5))
    torch.testing.assert_close(grey, images.mean(1, keepdim=True).expand_as(images))
    half = colour(images, draws(0.5, 0.5, 0.0))
    torch.testing.assert_close(half - half.mean(), (images - images.mean()) / 2)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -1), (-2, 2)])
def test_translation_moves_whole_pixels_and_fills_with_the_middle_grey(down: int, right: int) -> None:
    images = pictures(1, channels=1)
    moved = translation(images, draws((down + 2.5) / 5, (right + 2.5) / 5, 0.0))
    expected = torch.zeros_like(images)
    for row in range(16):
        for column in range(16):
            if 0 <= row - down < 16 and 0 <= column - right < 16:
                expected[..., row, column] = images[..., row - down, column - right]
    assert torch.equal(moved, expected)


def test_every_translation_is_drawn_as_often() -> None:
    images = torch.zeros(5000, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    places = apply(["translation"], images).flatten(1).argmax(1)
    rows = (places // 16).bincount(minlength=16)
    assert rows.nonzero().flatten().tolist() == [6, 7, 8, 9, 10]
    assert rows[6:11].min() > 900


def test_cutout_sets_half_the_side_to_zero_and_leaves_the_rest() -> None:
    images = pictures(1)
    cut = cutout(images, draws(0.5, 0.5, 0.0))
    assert (cut[0, :, 4:12, 4:12] == 0).all()
    assert int((cut == 0).sum()) == 3 * 64
    assert torch.equal(cut[cut != 0], images[cut != 0])


def test_flip_mirrors_in_half_of_the_cases() -> None:
    images = pictures(1)
    assert torch.equal(flip(images, draws(0.4, 0, 0)), images.flip(3))
    assert torch.equal(flip(images, draws(0.6, 0, 0)), images)


@every_name
def test_an_image_is_augmented_alike_in_any_batch_and_otherwise_at_another_time(name: str) -> None:
    images = pictures(64)
    whole = apply([name], images)
    drawn = draw_changes([name], seed=3, numbers=torch.tensor([45, 46]), streams=torch.tensor([9, 0]))
    part = augment(images[5:7], [name], draws=drawn[1])
    assert torch.equal(whole[5:7], part)
    assert not torch.equal(whole, apply([name], images, stream=7))


def test_draws_are_those_of_each_augmentation_of_each_side_alone() -> None:
    numbers = torch.arange(5) + 7
    drawn = draw_changes(["flip", "colour", "cutout"], seed=3, numbers=numbers, streams=torch.tensor([1000, 12000]))
    assert drawn.shape == (2, 5, 3, 4)
    for side, stream in enumerate((1000, 12000)):
        for position in range(3):
            assert torch.equal(drawn[side, :, position], uniform(3, numbers, (4,), stream=stream + position))


@every_name
def test_gradients_pass_through(name: str) -> None:
    images = pictures(8).requires_grad_()
    apply([name], images).square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).float().mean() > 0.3


def test_only_the_stated_share_is_augmented() -> None:
    images = pictures(4000, channels=1, size=8)
    for share in (0.0, 0.3, 1.0):
        changed = (apply(["colour"], images, share=torch.tensor(share)) != images).flatten(1).any(1)
        assert float(changed.float().mean()) == pytest.approx(share, abs=0.03)
