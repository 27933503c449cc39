from types import SimpleNamespace

import numpy as np
import pytest

from advgan.data.reading.collection import TEST, TRAIN, UNSPLIT, VALIDATION
from advgan.data.split import split_rows, stratified


def labelled(labels: list[int], origin: int | list[int] = UNSPLIT, classes: int = 3) -> SimpleNamespace:
    return SimpleNamespace(
        labels=np.array(labels),
        origin=np.broadcast_to(np.array(origin, np.uint8), len(labels)),
        classes=tuple("abc"[:classes]),
        shares=(0.1, 0.2),
    )


@pytest.mark.parametrize(("share", "wanted"), [(0.25, 450), (0.15, 270), (0.1, 180), (0.0, 0)])
def test_a_share_is_rounded_up(share: float, wanted: int) -> None:
    labels = np.arange(1797) % 10
    assert stratified(labels, share).sum() == wanted


def test_a_share_of_a_tenth_of_ten_is_one() -> None:
    assert stratified(np.zeros(10, int), 0.1).sum() == 1
    assert stratified(np.zeros(70, int), 0.1 * 100 / 70).sum() == 10


def test_every_class_gives_its_share_to_within_one() -> None:
    labels = np.repeat([0, 1, 2], [10, 100, 333])
    counts = np.bincount(labels[stratified(labels, 0.2)])
    assert np.abs(counts - np.array([2, 20, 66.6])).max() < 1
    assert counts.sum() == 89


def test_every_class_keeps_an_image_for_training() -> None:
    labels = np.array([0] * 50 + [1, 2])
    assert set(labels[~stratified(labels, 0.9)]) == {0, 1, 2}
    assert np.bincount(labels[~stratified(labels, 1.0)]).tolist() == [1, 1, 1]


def test_the_parts_are_disjoint_and_whole() -> None:
    rows = split_rows(labelled([0, 1, 2] * 40), seed=0, source="s")
    assert sorted(np.concatenate(rows)) == list(range(120))
    assert [len(part) for part in rows] == [84, 12, 24]


def test_given_splits_stay() -> None:
    origin = [TRAIN] * 10 + [VALIDATION] * 2 + [TEST] * 4
    rows = split_rows(labelled([0, 1] * 8, origin), seed=0, source="s")
    assert [part.tolist() for part in rows] == [list(range(10)), [10, 11], [12, 13, 14, 15]]


@pytest.mark.parametrize("origin", [[TRAIN] * 800 + [TEST] * 200, UNSPLIT])
def test_a_share_for_validation_is_one_of_the_training_images(origin: int | list[int]) -> None:
    rows = split_rows(labelled([0, 1] * 500, origin), seed=0, source="s", validation=0.02)
    assert [len(part) for part in rows] == [784, 16, 200]


def test_given_validation_images_are_not_drawn_again() -> None:
    origin = [TRAIN] * 60 + [VALIDATION] * 20 + [TEST] * 20
    rows = split_rows(labelled([0, 1] * 50, origin), seed=0, source="s", validation=0.5)
    assert [len(part) for part in rows] == [60, 20, 20]


def test_other_seeds_draw_other_images() -> None:
    drawn = {tuple(split_rows(labelled([0, 1] * 40), seed=seed, source="s")[2]) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize(
    ("labels", "origin", "message"),
    [
        ([], UNSPLIT, "s holds no images"),
        ([1, 1, 1, 1], UNSPLIT, "s has one class only"),
        ([0, 1], UNSPLIT, "s has too few images"),
        ([0, 0, 0, 1], [TRAIN, TRAIN, TRAIN, TEST], "s: the training images have none of class b"),
    ],
)
def test_what_cannot_be_split_is_refused(labels: list[int], origin: int | list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_rows(labelled(labels, origin), seed=0, source="s")
