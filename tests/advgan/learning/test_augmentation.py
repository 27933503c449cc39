"""Augmentation is a function of (seed, sample, epoch), a shift is a true translation, a flip an exact mirror."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from advgan.learning.augmentation import AUGMENTATIONS, augment, flip, shift


def pictures(count: int, *, size: int = 16, channels: int = 1) -> Tensor:
    """Images without two equal pixels in a row, so that a misplaced one shows; no pixel is black."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(1, 256, (count, channels, size, size), generator=generator).to(torch.uint8)


@given(rows=st.integers(-9, 9), columns=st.integers(-9, 9), channels=st.sampled_from([1, 3]))
def test_a_shift_is_a_translation_with_black_coming_in(rows: int, columns: int, channels: int) -> None:
    images = pictures(2, size=8, channels=channels)
    expected = torch.zeros_like(images)
    for down in range(8):
        for right in range(8):
            if 0 <= down + rows < 8 and 0 <= right + columns < 8:
                expected[0, :, down + rows, right + columns] = images[0, :, down, right]
    expected[1] = images[1]
    assert torch.equal(shift(images, torch.tensor([rows, 0]), torch.tensor([columns, 0])), expected)


def test_a_shift_keeps_the_dtype_and_works_on_floats() -> None:
    images = pictures(3)
    rows, columns = torch.tensor([1, -2, 0]), torch.tensor([0, 1, -1])
    moved = shift(images, rows, columns)
    assert moved.dtype == torch.uint8
    assert torch.equal(shift(images.float(), rows, columns), moved.float())


def test_a_flip_mirrors_left_to_right_and_only_the_chosen() -> None:
    images = pictures(2, channels=3)
    mirrored = flip(images, torch.tensor([True, False]))
    assert torch.equal(mirrored[0], images[0, :, :, torch.arange(15, -1, -1)])
    assert torch.equal(mirrored[1], images[1])


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_what_happens_to_a_sample_depends_on_nothing_else_in_the_batch(kind: str) -> None:
    images, indices = pictures(32), torch.arange(100, 132)
    whole = augment(images, indices, kind=kind, seed=7, epoch=3)
    pieces = [augment(images[i : i + 5], indices[i : i + 5], kind=kind, seed=7, epoch=3) for i in range(0, 32, 5)]
    assert torch.equal(torch.cat(pieces), whole)
    order = torch.arange(31, -1, -1)
    assert torch.equal(augment(images[order], indices[order], kind=kind, seed=7, epoch=3), whole[order])


def test_no_augmentation_changes_nothing() -> None:
    images = pictures(8)
    assert torch.equal(augment(images, torch.arange(8), kind="none", seed=0, epoch=0), images)


@pytest.mark.parametrize("kind", ["shift", "flip", "shift-flip"])
def test_epochs_seeds_and_samples_draw_anew(kind: str) -> None:
    image = pictures(1)
    copies, indices = image.expand(64, -1, -1, -1), torch.arange(64)
    drawn = augment(copies, indices, kind=kind, seed=0, epoch=0)
    assert not torch.equal(drawn, augment(copies, indices, kind=kind, seed=0, epoch=1))
    assert not torch.equal(drawn, augment(copies, indices, kind=kind, seed=1, epoch=0))
    assert len(drawn.flatten(1).unique(dim=0)) > 1


def test_shifts_reach_an_eighth_of_the_side_each_way_and_no_further() -> None:
    dot = torch.zeros(4000, 1, 16, 16, dtype=torch.uint8)
    dot[:, :, 8, 8] = 1
    moved = augment(dot, torch.arange(4000), kind="shift", seed=0, epoch=0)
    _, _, rows, columns = moved.nonzero(as_tuple=True)
    for places in (rows, columns):
        counts = (places - 8 + 2).bincount(minlength=5)
        assert len(counts) == 5
        # Five shifts alike: 800 each, give or take five standard deviations.
        assert (counts - 800).abs().max() < 5 * (4000 * 0.2 * 0.8) ** 0.5
    assert abs(torch.corrcoef(torch.stack((rows, columns)).float())[0, 1]) < 0.08  # down and right are independent


def test_half_the_images_are_mirrored_independently_of_their_shift() -> None:
    image = pictures(1)
    drawn = augment(image.expand(4000, -1, -1, -1), torch.arange(4000), kind="flip", seed=0, epoch=0)
    mirrored = (drawn == image.flip(3)).flatten(1).all(dim=1)
    assert abs(mirrored.float().mean() - 0.5) < 0.04


def test_the_smallest_images_still_move_by_a_pixel() -> None:
    image = pictures(1, size=4).expand(64, -1, -1, -1)
    assert len(augment(image, torch.arange(64), kind="shift", seed=0, epoch=0).flatten(1).unique(dim=0)) == 9
