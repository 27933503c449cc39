"""What the best checkpoint is chosen by."""

import pytest
import torch

from advgan.config import DataConfig
from advgan.data import Data, load_data
from advgan.data.points import POINTS
from advgan.ranges import to_unit
from attacks.random import normal, uniform
from evaluation.extractors.pixels import pixels_extractor
from evaluation.features.features import extract
from evaluation.fidelity.frechet import frechet_distance
from evaluation.modes.points import points_extractor
from evaluation.seeing.reference import Reference
from evaluation.watching.followed_distance import FRECHET, followed_distance, followed_name, looked_at


@pytest.fixture(scope="module")
def grid() -> Reference:
    return Reference(load_data(DataConfig(source="grid", count=5_000)), points_extractor("grid"), num_real=5_000)


def misplaced(grid: Reference, points: torch.Tensor) -> float:
    return followed_distance(grid, extract(grid.extractor, POINTS["grid"].images(points).float()))


def test_points_that_only_have_the_covariance_of_the_data_are_far_away(grid: Reference) -> None:
    known = POINTS["grid"]
    true = known.points(grid.data.test.unit())
    even = 4 * (24 / 16) ** 0.5 * (2 * uniform(0, torch.arange(5_000), (2,)) - 1)  # the same variance, 8 + 0.0025
    assert misplaced(grid, true) < 0.06
    assert misplaced(grid, even) > 0.9
    seen = extract(grid.extractor, known.images(even).float())
    assert frechet_distance(grid.real.values, seen.values) < 0.05


def test_it_is_the_share_that_has_to_move(grid: Reference) -> None:
    known = POINTS["grid"]
    spread = 0.05 * normal(0, torch.arange(4_800), (2,))
    without_one = torch.tensor(known.means[1:]).repeat(200, 1) + spread
    counts = torch.tensor(known.means).repeat(200, 1)
    assert misplaced(grid, torch.tensor(known.means[:1]).repeat(100, 1)) == pytest.approx(24 / 25, abs=0.02)
    assert misplaced(grid, without_one) == pytest.approx(1 / 25, abs=0.04)
    half = torch.cat([counts, counts + 1.0])  # half of them between the modes
    assert misplaced(grid, half) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("source", ["digits", "gaussian"])
def test_images_and_a_single_mode_are_followed_by_the_frechet_distance(source: str) -> None:
    data = load_data(DataConfig(source=source))
    extractor = pixels_extractor() if source == "digits" else points_extractor(source)
    reference = Reference(data, extractor, num_real=200)
    seen = extract(extractor, data.test.unit()[:100])
    assert followed_name(data) == FRECHET
    assert followed_distance(reference, seen) == frechet_distance(reference.real.values, seen.values)


def test_a_look_knows_the_distance_to_held_out_images_beside_the_one_that_chooses() -> None:
    data = load_data(DataConfig(source="digits"))
    reference = Reference(data, pixels_extractor(), num_real=300)
    copies = extract(reference.extractor, to_unit(reference.sample.images))
    row = looked_at(reference, copies)
    assert row["distance"] == pytest.approx(0, abs=1e-6)
    assert row["held_out_distance"] == frechet_distance(reference.held_out.features.values, copies.values)
    assert row["held_out_distance"] > 0.1


def test_points_with_modes_and_data_without_held_out_images_have_one_distance(grid: Reference) -> None:
    points = extract(grid.extractor, grid.data.test.unit()[:200])
    assert looked_at(grid, points).keys() == {"distance"}
    data = load_data(DataConfig(source="digits"))
    none = data.test.select([])
    reference = Reference(Data("digits", data.train, none, none), pixels_extractor(), num_real=300)
    assert looked_at(reference, reference.real).keys() == {"distance"}
