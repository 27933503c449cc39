"""Pictures show the pixels they were given, and say by how much a perturbation was enlarged."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.report.pictures import (
    Prediction,
    grids_panel,
    image_grid,
    perturbation_factor,
    tile,
    triplets_panel,
)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_grid_repeats_each_pixel_exactly_and_lays_rows_first() -> None:
    images = torch.arange(5).reshape(5, 1, 1, 1) * torch.ones(5, 1, 2, 2) * 51 / 255
    pixels = _pixels(image_grid(images, columns=3, scale=4))
    assert pixels.shape == ((2 + 1 + 2) * 4, (2 + 1 + 2 + 1 + 2) * 4, 4)
    corners = [pixels[4 * top, 4 * left, 0] for top in (0, 3) for left in (0, 3, 6)]
    assert corners[:5] == [0, 51, 102, 153, 204]
    assert (pixels[:8, 12:20, :3] == 51).all()
    assert (pixels[:8, 8:12, 3] == 0).all()  # the gap lets the page through
    assert pixels[12, 24, 3] == 0  # so does the place of a sixth image


def test_a_small_image_is_enlarged_by_a_whole_factor_and_a_large_one_left() -> None:
    assert _pixels(tile(torch.rand(1, 8, 8))).shape == (192, 192)
    assert _pixels(tile(torch.rand(3, 300, 300))).shape == (300, 300, 3)


def test_colours_keep_their_order() -> None:
    image = torch.tensor([1.0, 0.5, 0.0]).reshape(3, 1, 1)
    assert _pixels(tile(image, scale=1)).reshape(-1).tolist() == [255, 128, 0]


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 2, 8, 8), (8, 8)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        image_grid(torch.zeros(shape))


@pytest.mark.parametrize(
    ("largest", "factor"), [(0.0, 1.0), (0.5, 1.0), (0.3, 1.6), (0.01, 50.0), (1.0, 0.5), (8 / 255, 15)]
)
def test_the_factor_uses_the_range_and_never_leaves_it(largest: float, factor: float) -> None:
    assert perturbation_factor(torch.tensor([largest, -largest / 2])) == factor
    assert largest * factor <= 0.5 + 1e-6


def test_a_triplet_shows_the_signed_change_around_grey_with_its_factor(tmp_path: Path) -> None:
    clean = torch.full((2, 1, 4, 4), 0.5)
    adversarial = clean.clone()
    adversarial[0, 0, 0, 0], adversarial[0, 0, 0, 1], adversarial[1, 0, 3, 3] = 0.6, 0.45, 0.55
    panel = triplets_panel(
        tmp_path,
        clean,
        adversarial,
        truth=["cat", "dog"],
        before=[Prediction("cat", 0.991), Prediction("dog", 0.8)],
        after=[Prediction("dog", 0.75), Prediction("dog", 0.6)],
        title="t",
        name="first",
    )
    assert [item.caption for item in panel.items[:3]] == [
        "true class cat\nseen as cat\n99.1 % sure",
        "change × 5\nat most 0.1",
        "attacked\nseen as dog\n75.0 % sure",
    ]
    change = _pixels((tmp_path / panel.items[1].file).read_bytes())[::48, ::48]
    assert change[0].tolist() == [255, 64, 128, 128]
    assert panel.items[4].caption == "change × 5\nat most 0.05"  # one factor for all, or they could not be compared
    assert _pixels((tmp_path / panel.items[2].file).read_bytes())[0, 0] == 153


def test_two_grids_stand_side_by_side(tmp_path: Path) -> None:
    panel = grids_panel(
        tmp_path, {"real": torch.rand(4, 1, 8, 8), "generated": torch.rand(4, 1, 8, 8)}, title="t", name="g"
    )
    assert [item.caption for item in panel.items] == ["real", "generated"]
    assert panel.layout == "wide"
    assert all((tmp_path / item.file).is_file() for item in panel.items)
