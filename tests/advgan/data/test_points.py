import math
from itertools import islice

import pytest
import torch

from advgan.config import DataConfig
from advgan.data import ImageSet, batches, load_data, load_extra
from advgan.data.points import POINTS
from advgan.ranges import from_signed, to_signed, to_unit

EXTREME = math.sqrt(2 * math.log(2**24))  # the largest normal value of attacks.random


def config(source: str, **details: object) -> DataConfig:
    return DataConfig(source=source, **details)  # type: ignore[arg-type]


def test_the_protocol_is_that_of_the_paper() -> None:
    assert sorted(len(known.means) for known in POINTS.values()) == [1, 8, 25]
    assert all(math.hypot(*mean) == pytest.approx(1) for mean in POINTS["ring"].means)
    assert POINTS["grid"].means[0] == (-4, -4)
    assert POINTS["grid"].means[-1] == (4, 4)
    assert POINTS["grid"].means[1] == (-4, -2)
    assert [POINTS[name].deviation for name in ("gaussian", "ring", "grid")] == [0.5, 0.01, 0.05]
    assert POINTS["ring"].classes[:4] == ("(1.00, 0.00)", "(0.71, 0.71)", "(0.00, 1.00)", "(-0.71, 0.71)")
    assert POINTS["gaussian"].classes == ("(4.00)",)


@pytest.mark.parametrize("source", POINTS)
def test_points_have_the_moments_of_their_modes(source: str) -> None:
    data, known = load_data(config(source, seed=3)), POINTS[source]
    assert [len(part) for part in (data.train, data.validation, data.test)] == [100_000, 10_000, 10_000]
    assert (data.size, data.channels, data.num_classes) == (1, known.dim, len(known.means))
    points, count = known.points(data.train.unit()), len(data.train) / len(known.means)
    assert torch.bincount(data.train.labels).sub(count).abs().max() < 4.5 * math.sqrt(count)
    for mode, mean in enumerate(known.means):
        scaled = (points[data.train.labels == mode] - torch.tensor(mean)) / known.deviation
        assert scaled.mean(0).abs().max() < 4.5 / math.sqrt(len(scaled))
        assert (torch.cov(scaled.T).reshape(known.dim, -1) - torch.eye(known.dim)).abs().max() < 7 / math.sqrt(
            len(scaled)
        )


@pytest.mark.parametrize("source", POINTS)
def test_no_point_can_leave_the_unit_range(source: str) -> None:
    known = POINTS[source]
    for mean in known.means:
        for side in (-1, 1):
            images = known.images(torch.tensor([mean]) + side * EXTREME * known.deviation)
            assert images.min() > 0
            assert images.max() < 1


@pytest.mark.parametrize("source", POINTS)
def test_the_map_to_images_is_inverted_outside_the_range_too(source: str) -> None:
    known = POINTS[source]
    points = torch.linspace(-20, 20, 6 * known.dim).reshape(6, known.dim)
    assert known.images(points).shape == (6, known.dim, 1, 1)
    assert torch.allclose(known.points(known.images(points)), points, atol=1e-5)


def test_a_point_is_a_function_of_seed_and_number() -> None:
    few, many, other = (
        load_data(config("grid", count=50)),
        load_data(config("grid", count=90)),
        load_data(config("grid", count=50, seed=1)),
    )
    assert torch.equal(few.train.images, many.train.images[:50])
    assert torch.equal(few.test.images, many.test.images)
    assert not torch.equal(few.train.images, other.train.images)
    assert len({part.digest for part in (few.train, many.train, other.train, few.validation, few.test)}) == 5
    assert not torch.equal(few.validation.images, few.test.images)
    assert load_data(config("grid", count=50)).digest == few.digest


def test_points_pass_through_sets_and_batches_unrounded() -> None:
    train = load_data(config("ring", count=40)).train
    assert train.images.dtype == torch.float32
    assert torch.equal(train.unit(), train.images)
    assert torch.equal(train.unit(torch.tensor([7, 2])), train.select([7, 2]).images)
    for batch in islice(batches(train, 8, seed=0), 7):
        assert torch.equal(to_unit(batch.images), train.images[batch.indices])
        assert torch.equal(batch.labels, train.labels[batch.indices])


def test_the_digest_sees_the_last_bit_of_a_point() -> None:
    train = load_data(config("ring", count=40)).train
    moved = train.images.clone()
    moved[3, 1] = torch.nextafter(moved[3, 1], torch.ones(()))
    assert ImageSet(moved, train.labels, train.classes).digest != train.digest


def test_points_are_not_clipped_and_images_are() -> None:
    beyond = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0])
    assert from_signed(beyond.view(5, 1, 1, 1)).flatten().tolist() == [-1, 0, 0.5, 1, 1.5]
    assert torch.equal(to_signed(from_signed(beyond.view(5, 1, 1, 1))).flatten(), beyond)
    assert from_signed(beyond.view(1, 5, 1)).flatten().tolist() == [0, 0, 0.5, 1, 1]


def test_only_points_may_be_floats() -> None:
    with pytest.raises(AssertionError):
        ImageSet(torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), ("a",))


def test_the_summary_speaks_of_points() -> None:
    data = load_data(config("ring", count=40))
    assert data.summary() == (
        f"ring: 40 train, 10,000 validation and 10,000 test points of 2 coordinate(s), 8 modes, hash {data.digest}"
    )


def test_points_are_extra_data_for_points() -> None:
    like = load_data(config("ring", count=40)).train
    extra = load_extra(config("ring", count=60, seed=5), like=like)
    assert len(extra) == 60
    with pytest.raises(ValueError, match="set resize and channels"):
        load_extra(config("gaussian", count=60), like=like)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"source": "ring", "resize": 8}, "ring: points have neither size nor colour: leave resize and channels out"),
        ({"source": "grid", "channels": 3}, "grid: points have neither size nor colour"),
        ({"source": "digits", "count": 20}, "data.count 20: only points and stacks are drawn, digits is not"),
    ],
)
def test_what_points_cannot_have_is_refused(details: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_data(DataConfig(**details))  # type: ignore[arg-type]
