"""Data sets of Hugging Face. What needs the library `datasets` (the extra `hf`) is skipped where it is missing."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from advgan.config import DataConfig
from advgan.data import IMAGES, Data, Use, load_data
from advgan.data.uses import LEARNING
from evaluation.inputs import Source, open_source

TESTED = Use(why_classes="images leave their class", alone="tested")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return pytest.importorskip("datasets", reason="the extra hf is not installed")


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def rows(library: Any, values: Sequence[int], *, classes: bool = True) -> Any:
    """Pictures that tell which one they are; even ones are cats."""
    columns: dict[str, Any] = {"text": [str(value) for value in values]}
    columns["image"] = [{"bytes": png(value), "path": None} for value in values]
    features = {"text": library.Value("string"), "image": library.Image()}
    if classes:
        columns["label"] = [value % 2 for value in values]
        features["label"] = library.ClassLabel(names=["cat", "dog"])
    return library.Dataset.from_dict(columns, features=library.Features(features))


def load(source: Path, use: Use = LEARNING, **options: object) -> Data:
    return load_data(DataConfig(source=str(source), **options), cache=source.parent / "cache", use=use)


def named(data: Data) -> dict[int, str]:
    found = {}
    for part in (data.train, data.validation, data.test):
        for pixels, label in zip(part.images, part.labels.tolist(), strict=True):
            found[int(pixels[0, 0, 0])] = part.classes[label] if part.classes else ""
    return found


WANTED = {value: "dog" if value % 2 else "cat" for value in range(60)}


def test_a_saved_data_set_keeps_its_splits_and_classes(library: Any, tmp_path: Path) -> None:
    parts = {"train": rows(library, range(40)), "test": rows(library, range(40, 60))}
    library.DatasetDict(parts).save_to_disk(tmp_path / "pets")
    data = load(tmp_path / "pets")
    assert (data.name, data.classes) == ("pets", ("cat", "dog"))
    assert sorted(data.test.images[:, 0, 0, 0].tolist()) == list(range(40, 60))
    assert named(data) == WANTED
    assert load(tmp_path / "pets").digest == data.digest
    source = open_source(str(tmp_path / "pets"))
    assert isinstance(source, Source)
    assert (source.count, source.classes) == (40, ("cat", "dog")), "of a subject, its training images"
    assert load(tmp_path / "pets", resize=4, channels=3).train.images.shape[1:] == (3, 4, 4)


def test_a_saved_split_without_others_is_divided_or_tested(library: Any, tmp_path: Path) -> None:
    rows(library, range(60)).save_to_disk(tmp_path / "all")
    assert [len(part) for part in (lambda data: (data.train, data.validation, data.test))(load(tmp_path / "all"))] == [
        42,
        6,
        12,
    ]
    library.DatasetDict({"validation": rows(library, range(60))}).save_to_disk(tmp_path / "held-out")
    assert len(load(tmp_path / "held-out", TESTED).test) == 60
    with pytest.raises(ValueError, match="no train split"):
        load(tmp_path / "held-out")


@pytest.mark.parametrize("inside", ["{}.parquet", "data/{}-00000-of-00001.parquet", "{}/0000.parquet"])
def test_parquet_files_are_read_by_the_split_in_their_name(inside: str, library: Any, tmp_path: Path) -> None:
    for split, values in (("train", range(40)), ("test", range(40, 60))):
        file = tmp_path / "pets" / inside.format(split)
        file.parent.mkdir(parents=True, exist_ok=True)
        rows(library, values).to_parquet(str(file))
    data = load(tmp_path / "pets")
    assert len(data.test) == 20
    assert named(data) == WANTED
    assert len(load(tmp_path / "pets" / inside.format("test"), TESTED).test) == 20


def test_images_without_labels_are_images(library: Any, tmp_path: Path) -> None:
    rows(library, range(60), classes=False).save_to_disk(tmp_path / "faces")
    data = load(tmp_path / "faces", IMAGES)
    assert data.classes == ()
    assert sorted(named(data)) == list(range(60))
    with pytest.raises(ValueError, match="no column is called label or holds classes: it has text, image"):
        load(tmp_path / "faces")


def hidden_labels(library: Any) -> Any:
    part = rows(library, range(60), classes=False)
    return part.add_column("label", [-1] * 60)


def no_images(library: Any) -> Any:
    return library.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (hidden_labels, "has no label for 60 of 60 images: name another"),
        (no_images, "has no column of images: it has text, label"),
    ],
)
def test_what_is_missing_is_said(make: Callable[[Any], Any], words: str, library: Any, tmp_path: Path) -> None:
    make(library).save_to_disk(tmp_path / "set")
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "set")


def test_a_broken_image_is_named_or_left_out(library: Any, tmp_path: Path) -> None:
    part = rows(library, range(60)).cast_column("image", library.Image(decode=False))
    broken = part.map(lambda row: {"image": {"bytes": b"nothing" if row["text"] == "7" else row["image"]["bytes"]}})
    broken.save_to_disk(tmp_path / "set")
    with pytest.raises(ValueError, match=r"1 of 60 images cannot be read, first: all/7 .*--skip-bad leaves them out"):
        load(tmp_path / "set")
    assert sorted(named(load(tmp_path / "set", skip_bad=True))) == [value for value in range(60) if value != 7]


def test_words_and_numbers_are_classes_too(library: Any, tmp_path: Path) -> None:
    part = rows(library, range(60), classes=False)
    part.add_column("target", ["in/out" if value % 2 else "out" for value in range(60)]).save_to_disk(tmp_path / "a")
    assert load(tmp_path / "a").classes == ("in-out", "out")
    part.add_column("class", [10 if value % 2 else 9 for value in range(60)]).save_to_disk(tmp_path / "b")
    assert load(tmp_path / "b").classes == ("9", "10")


def test_a_damaged_folder_is_one_line(library: Any, tmp_path: Path) -> None:
    rows(library, range(60)).save_to_disk(tmp_path / "set")
    (tmp_path / "set/state.json").write_text("{")
    with pytest.raises(ValueError, match="set") as caught:
        load(tmp_path / "set")
    assert "\n" not in str(caught.value)


def test_a_name_without_a_network_says_how_to_bring_the_data(library: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hf:org/pets@train is not in the cache.*save_to_disk\('DIR'\)") as caught:
        load_data(DataConfig(source="hf:org/pets@train"), cache=tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="is no name of a data set: write hf:ORG/NAME"):
        load_data(DataConfig(source="hf:a/b/c"), cache=tmp_path)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"hf:org/pets is read by the library datasets: pip install 'advgan\[hf\]'"):
        load_data(DataConfig(source="hf:org/pets"), cache=tmp_path)
    (tmp_path / "train.parquet").touch()
    with pytest.raises(ValueError, match=r"train\.parquet is read by the library datasets"):
        load_data(DataConfig(source=str(tmp_path / "train.parquet")), cache=tmp_path)
