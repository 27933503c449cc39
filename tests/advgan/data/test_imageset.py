from dataclasses import replace

import numpy as np
import pytest
import torch

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data


def make_set() -> ImageSet:
    return ImageSet(
        torch.arange(128, dtype=torch.uint8).reshape(2, 4, 4, 4)[:, :1], torch.tensor([0, 1]), ("a", "b"), "m"
    )


def test_the_digits_are_split_and_stratified() -> None:
    data = load_data(DataConfig())
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1077, 270, 450]
    assert (data.size, data.channels, data.num_classes, data.name) == (8, 1, 10, "digits")
    for part in (data.train, data.validation, data.test):
        shares = torch.bincount(part.labels, minlength=10) / len(part)
        assert (shares - 0.1).abs().max() < 0.006


def test_the_digits_are_whole_and_spread_over_the_whole_range() -> None:
    from sklearn.datasets import load_digits

    data = load_data(DataConfig(seed=3))
    images = torch.cat([part.images for part in (data.train, data.validation, data.test)])
    assert len(images) == 1797
    assert sorted(images.flatten(1).sum(1).tolist()) == sorted(
        np.round(load_digits().data * 255 / 16).sum(1).astype(int).tolist()
    )
    assert images.max() == 255


def test_the_split_is_a_function_of_the_seed() -> None:
    one, again, other = (load_data(DataConfig(seed=seed)) for seed in (0, 0, 1))
    assert one.digest == again.digest
    assert one.test.digest != other.test.digest


def test_the_digest_of_the_digits_is_the_same_on_every_machine() -> None:
    assert load_data(DataConfig()).digest == "d110ad03af3d"


def test_the_digest_sees_every_pixel_label_and_class() -> None:
    images = make_set()
    pixels = images.images.clone()
    pixels[1, 0, 3, 3] += 1
    variants = [
        images,
        replace(images, images=pixels),
        replace(images, labels=torch.tensor([1, 1])),
        replace(images, classes=("a", "c")),
        replace(images, images=images.images.reshape(2, 4, 2, 2)),
    ]
    assert len({variant.digest for variant in variants}) == 5
    assert replace(images, name="other", images=images.images.clone()).digest == images.digest
    assert len(images.digest) == 12


def test_the_digest_does_not_depend_on_how_much_is_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_data(DataConfig()).train.digest
    monkeypatch.setattr("advgan.data.imageset._HASHED_AT_ONCE", 100)
    assert load_data(DataConfig()).train.digest == whole


def test_unit_gives_floats_between_0_and_1() -> None:
    images = make_set()
    assert torch.equal(images.unit(), images.images / 255)
    assert torch.equal(images.unit(torch.tensor([1])), images.images[1:] / 255)
    assert torch.equal(images.unit(slice(0, 1)), images.images[:1] / 255)
    assert images.unit().dtype == torch.float32


def test_select_keeps_the_order_it_is_given() -> None:
    chosen = make_set().select([1, 0])
    assert torch.equal(chosen.images, make_set().images.flip(0))
    assert chosen.labels.tolist() == [1, 0]
    assert chosen.classes == ("a", "b")


def test_data_describes_itself_as_plain_values() -> None:
    images = make_set()
    data = Data("m", images, images, images, skipped=("x.png (is empty)",))
    assert data.describe() == {
        "name": "m",
        "digest": data.digest,
        "classes": ["a", "b"],
        "class_counts": [1, 1],
        "size": 4,
        "channels": 1,
        "train": 2,
        "validation": 2,
        "test": 2,
        "skipped": 1,
    }
    assert data.summary() == (
        f"m: 2 train, 2 validation and 2 test images of 4x4 pixels (grey), 2 classes, 1 left out, hash {data.digest}"
    )
