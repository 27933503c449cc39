"""Augmented sets: written inside their folder whatever classes are called, read by the project's one image reader."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from advgan.data import Data, ImageSet
from advgan.storage.contents import write_contents
from evaluation.jobs.augmented import METADATA, Part, read_extra, write_augmented

CLASSES = ("../../out", "/abs", "C:\\x", ".")


def small_data(classes: tuple[str, ...], channels: int) -> Data:
    images = torch.zeros(len(classes), channels, 8, 8, dtype=torch.uint8)
    some = ImageSet(images, torch.arange(len(classes)), classes, "small")
    return Data("small", some, some, some)


def written(folder: Path, classes: tuple[str, ...], channels: int) -> Data:
    count = len(classes)
    rows = pd.DataFrame({"label": range(count), "source": "generated", "index": range(count)})
    images = torch.arange(count * channels * 64).reshape(count, channels, 8, 8) % 256 / 255
    write_augmented(folder, [Part(name="generated", images=images, rows=rows)], classes)
    return small_data(classes, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_that_look_like_paths_are_written_inside_and_read_back(channels: int, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er" / "set"
    data = written(folder, CLASSES, channels)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["er"]
    assert len([path for path in folder.iterdir() if path.is_dir()]) == len(CLASSES)
    extra = read_extra(folder, data)
    assert extra.labels.tolist() == [0, 1, 2, 3]
    assert extra.images.flatten().tolist() == [number % 256 for number in range(4 * channels * 64)]


def rename(folder: Path, name: str) -> None:
    rows = pd.read_csv(folder / METADATA)
    rows.loc[0, "file_name"] = name
    rows.to_csv(folder / METADATA, index=False)
    write_contents(folder)  # as somebody would who made such a set


@pytest.mark.parametrize("name", ["../outside.png", "{}/outside.png", "a/../../outside.png", "missing.png", "a", "x\n"])
def test_a_name_that_leads_out_of_the_set_is_refused(name: str, tmp_path: Path) -> None:
    data = written(tmp_path / "set", ("a", "b"), 1)
    Image.new("L", (8, 8)).save(tmp_path / "outside.png")
    rename(tmp_path / "set", name.format(tmp_path))
    with pytest.raises(ValueError, match=r"no image in that folder") as error:
        read_extra(tmp_path / "set", data)
    assert "\n" not in str(error.value)


def test_a_palette_is_read_as_the_colours_that_it_means(tmp_path: Path) -> None:
    data = written(tmp_path / "set", ("a", "b"), 3)
    file = tmp_path / "set" / "a" / "generated-000000.png"
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    picture = Image.fromarray(red).quantize(4)
    assert picture.mode == "P"
    picture.save(file)
    write_contents(tmp_path / "set")
    assert read_extra(tmp_path / "set", data).images[0, :, 0, 0].tolist() == [200, 0, 0]

    grey = small_data(("a", "b"), 1)
    with pytest.raises(ValueError, match="8x8 with 3 channels, the data is 8x8 with 1"):
        read_extra(tmp_path / "set", grey)
