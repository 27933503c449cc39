"""The folders that people have: with splits and without, in class folders, beside a table of labels, or neither."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from advgan.config import DataConfig
from advgan.data import ANY_IMAGES, IMAGES, Data, ImageSet, Use, load_data, load_extra, load_images
from advgan.data.uses import LEARNING

TESTED = Use(why_classes="images leave their class", alone="tested")


def write(root: Path, folder: str, values: Sequence[int]) -> None:
    """Pictures that tell which one they are, by their grey level and their name."""
    for value in values:
        path = root / folder / f"{value}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def table(root: Path, name: str, header: str, rows: Sequence[str]) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def load(root: Path, use: Use = LEARNING, **options: object) -> Data:
    return load_data(DataConfig(source=str(root), **options), cache=root.parent / "cache", use=use)


def values(images: ImageSet) -> list[int]:
    return sorted(images.images[:, 0, 0, 0].tolist())


def named(images: ImageSet) -> dict[int, str]:
    """The class of each image."""
    pairs = zip(images.images[:, 0, 0, 0].tolist(), images.labels.tolist(), strict=True)
    return {value: images.classes[label] for value, label in pairs}


def everything(data: Data) -> dict[int, str]:
    return named(data.train) | named(data.validation) | named(data.test)


def two_classes(root: Path, folder: str = "", first: int = 0) -> None:
    write(root, f"{folder}/cat".strip("/"), range(first, first + 20))
    write(root, f"{folder}/dog".strip("/"), range(first + 20, first + 40))


def flat(root: Path) -> None:
    write(root, "", range(30))


def one_folder(root: Path) -> None:
    write(root, "faces", range(30))


def flat_splits(root: Path) -> None:
    write(root, "train", range(20))
    write(root, "test", range(20, 30))


def flat_arrays(root: Path) -> None:
    root.mkdir()
    np.savez(root / "images.npz", images=np.arange(30, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2))


@pytest.mark.parametrize(
    ("make", "inside", "classes"),
    [(flat, "", ()), (one_folder, "", ("faces",)), (flat_splits, "", ()), (flat_arrays, "images.npz", ())],
)
def test_images_without_classes_are_images_to_learn_from(
    make: Callable[[Path], None], inside: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "set"
    make(root)
    data = load(root / inside, IMAGES)
    assert data.classes == classes
    assert sorted(values(data.train) + values(data.validation) + values(data.test)) == list(range(30))
    assert int(data.train.labels.max()) == 0
    assert min(len(data.validation), len(data.test)) > 0
    assert load(root / inside, IMAGES).digest == data.digest, "as the cache keeps it"
    asking = Use(why_classes="this verb counts classes")
    with pytest.raises(ValueError, match=r"this verb counts classes, but|has one class only") as caught:
        load(root / inside, asking)
    assert "this verb counts classes" in str(caught.value)


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_one_array_alone_holds_images_without_labels(suffix: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    file = tmp_path / f"images{suffix}"
    np.save(file, pixels) if suffix == ".npy" else torch.save(torch.from_numpy(pixels), file)
    data = load(file, IMAGES)
    assert (data.channels, data.classes) == (3, ())
    assert len(data.train) + len(data.validation) + len(data.test) == 30


def test_validation_images_stand_in_for_missing_test_images(tmp_path: Path) -> None:
    two_classes(tmp_path / "set", "train")
    two_classes(tmp_path / "set", "val", first=100)
    data = load(tmp_path / "set")
    assert values(data.test) == list(range(100, 140))
    assert sorted(values(data.train) + values(data.validation)) == list(range(40))
    assert len(data.validation) == 4
    assert "validation split as test images" in data.summary()


def test_a_train_folder_alone_is_divided_by_seed(tmp_path: Path) -> None:
    two_classes(tmp_path / "set", "train")
    data = load(tmp_path / "set")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [28, 4, 8]
    assert "divided by seed" in data.summary()


@pytest.mark.parametrize("split", ["test", "val", "validation"])
def test_one_split_alone_is_tested_on_looked_at_or_refused(split: str, tmp_path: Path) -> None:
    two_classes(tmp_path / "set", split)
    tested = load(tmp_path / "set", TESTED)
    assert values(tested.test) == list(range(40))
    assert [len(tested.train), len(tested.validation)] == [0, 0]
    assert (tested.size, tested.channels, tested.classes) == (8, 1, ("cat", "dog"))
    divided = load(tmp_path / "set", ANY_IMAGES)
    assert [len(part) for part in (divided.train, divided.validation, divided.test)] == [28, 4, 8]
    assert values(load_images(DataConfig(source=str(tmp_path / "set")), cache=tmp_path / "cache")) == list(range(40))
    with pytest.raises(ValueError, match="split but no train split, and there is nothing to learn from"):
        load(tmp_path / "set")


HEADERS = [
    *[("file_name", "label"), ("filename", "class"), ("file", "target"), ("path", "category"), ("image", "label")],
    *[("File Name", "Class"), ("image_id", "label")],
]


@pytest.mark.parametrize(("file", "label"), HEADERS)
@pytest.mark.parametrize("place", ["", "images"])
def test_a_table_says_the_classes_of_flat_images(file: str, label: str, place: str, tmp_path: Path) -> None:
    write(tmp_path / "set", place, range(40))
    rows = [f"{value}.png,{'cat' if value < 20 else 'dog'},0.5" for value in range(40)]
    table(tmp_path / "set", "labels.csv", f"{file},{label},weight", rows)
    data = load(tmp_path / "set")
    assert data.classes == ("cat", "dog")
    assert everything(data) == {value: "cat" if value < 20 else "dog" for value in range(40)}


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("labels.tsv", "label\tfile", "{label}\t{value}.png"),
        ("labels.csv", "﻿file;label", "{value}.png;{label}"),
        ("labels.csv", '"file","label"', '"/home/me/pets/{value}.png","{label}"'),
        ("labels.csv", "id,label", "{value},{label}"),
        ("labels.csv", "file,label", ".\\{value}.png,{label}"),
        ("metadata.csv", "file_name,label", "train/{value}.png,{label}"),
        ("labels.csv", '"file", "label"', '"{value}.png", "{label}"'),
        ("labels.csv", "0.png,10", "{value}.png,{label}"),  # no header; the first row twice says the same twice
        ("labels.csv", ",file,label", "{value},{value}.png,{label}"),  # as pandas writes its index
        ("labels.csv", ",0,1", "{value},{value}.png,{label}"),
        ("labels.csv", "Datei;Art", "{value}.png;{label}"),
        ("labels.csv", "id,path_to_it,class", "x{value},{value}.png,{label}"),
        ("labels.txt", "0.png 10", "{value}.png {label}"),
        ("metadata.jsonl", "", '{{"file_name": "{value}.png", "label": {label}, "box": [1, 2]}}'),
        ("metadata.jsonl", "", '{{"text": "an animal", "file_name": "train/{value}.png", "class": "{label}"}}'),
    ],
)
def test_tables_are_read_as_people_write_them(name: str, header: str, row: str, tmp_path: Path) -> None:
    write(tmp_path / "set", "train" if "train/" in row else "", range(20))
    rows = [row.format(value=value, label=10 if value < 10 else 9) for value in range(20)]
    table(tmp_path / "set", name, header, rows)
    data = load(tmp_path / "set")
    assert data.classes == ("9", "10"), "sorted as people count"
    assert everything(data) == {value: "10" if value < 10 else "9" for value in range(20)}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_tables_are_read_as_excel_saves_them(encoding: str, tmp_path: Path) -> None:
    write(tmp_path / "set", "", range(20))
    rows = ["Datei;Klasse", *(f"{value}.png;{'Hündin' if value < 10 else 'Kater'}" for value in range(20))]
    (tmp_path / "set/labels.csv").write_text("\r\n".join(rows), encoding=encoding)
    assert load(tmp_path / "set").classes == ("Hündin", "Kater")


@pytest.mark.parametrize("header", ["file,cat,dog", "file,caption"])
def test_a_table_whose_labels_nobody_can_tell_says_so(header: str, tmp_path: Path) -> None:
    write(tmp_path / "set", "", range(20))
    rest = ",1,0" if "dog" in header else ",a picture of number {value}"
    table(tmp_path / "set", "labels.csv", header, [f"{value}.png{rest.format(value=value)}" for value in range(20)])
    with pytest.raises(ValueError, match=r"labels\.csv calls none of its columns label, .*category: rename the one"):
        load(tmp_path / "set")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training", "testing"),
        ("Train", "TEST"),
        ("train_set", "test_set"),
        ("train-images", "val_images"),
        ("train", "dev"),
        ("train", "eval"),
        ("training_data", "testing data"),
    ],
)
def test_splits_are_known_by_the_words_that_people_use(train: str, test: str, tmp_path: Path) -> None:
    two_classes(tmp_path / "set", train)
    two_classes(tmp_path / "set", test, first=100)
    data = load(tmp_path / "set")
    assert data.classes == ("cat", "dog")
    assert values(data.test) == list(range(100, 140))


def test_splits_may_lie_in_the_class_folders(tmp_path: Path) -> None:
    for kind, first in (("cat", 0), ("dog", 100)):
        write(tmp_path / "set", f"{kind}/train", range(first, first + 20))
        write(tmp_path / "set", f"{kind}/test", range(first + 20, first + 30))
    data = load(tmp_path / "set")
    assert named(data.test) == {value: "cat" if value < 100 else "dog" for value in [*range(20, 30), *range(120, 130)]}
    write(tmp_path / "set", "cat/more", range(30, 40))
    data = load(tmp_path / "set")
    assert len(everything(data)) == 70, "else they are parts of the class"


@pytest.mark.parametrize("added", ["@eaDir", "__pycache__", ".ipynb_checkpoints", "$RECYCLE.BIN"])
def test_folders_that_systems_add_are_no_classes(added: str, tmp_path: Path) -> None:
    two_classes(tmp_path / "set")
    write(tmp_path / "set", added, range(3))
    write(tmp_path / "set", f"cat/{added}", range(50, 53))
    assert sorted(everything(load(tmp_path / "set"))) == list(range(40))


def test_a_path_by_the_name_of_a_data_set_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not load_data(DataConfig()).note
    two_classes(tmp_path / "digits")
    assert "that is ./digits" in load_data(DataConfig()).summary()
    assert load_data(DataConfig(source="./digits"), cache=tmp_path / "cache").classes == ("cat", "dog")


def test_splits_of_a_table_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "set", "", range(40))
    rows = [f"{value}.png,{value % 2},{'test' if value < 10 else 'train'}" for value in range(40)]
    table(tmp_path / "set", "labels.csv", "file,label,split", rows)
    assert values(load(tmp_path / "set").test) == list(range(10))
    table(tmp_path / "set", "labels.csv", "file,label,split", [row.replace("test", "fold") for row in rows])
    with pytest.raises(ValueError, match="has the split 'fold'; known are train"):
        load(tmp_path / "set")


def test_each_split_may_have_a_table_of_its_own(tmp_path: Path) -> None:
    for split in ("train", "test"):  # the same names in both
        write(tmp_path / "set", split, range(20))
        other = split == "test"
        rows = [f"{value}.png,{'ab'[(value + other) % 2]}" for value in range(20)]
        table(tmp_path / "set", f"{split}_labels.csv", "image,label", rows)
    data = load(tmp_path / "set")
    assert named(data.test) == {value: "ab"[(value + 1) % 2] for value in range(20)}
    assert named(data.train) | named(data.validation) == {value: "ab"[value % 2] for value in range(20)}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_the_folder_of_each_split_may_hold_its_table(name: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / "set", split, range(20))
        rows = [f"{value}.png,{'ab'[value % 2]}" for value in range(20)]
        if name.endswith("jsonl"):
            rows = [f'{{"file_name": "{value}.png", "label": "{"ab"[value % 2]}"}}' for value in range(20)]
        table(tmp_path / "set" / split, name, "" if name.endswith("jsonl") else "file_name,label", rows)
    data = load(tmp_path / "set")
    assert (len(data.test), data.classes) == (20, ("a", "b"))


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda rows: rows[:-3], "labels.csv says nothing of 3 of 20 images, first 17.png: add a row for each"),
        (lambda rows: [*rows, "99.png,cat"], "labels.csv names 99.png, which is not there"),
        (lambda rows: [*rows, "3.png,emu"], "3.png has two different rows in labels.csv"),
        (lambda rows: [], "20 images lie directly in it, without a label"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error_only_where_classes_are_needed(
    change: Callable[[list[str]], list[str]], fragment: str, tmp_path: Path
) -> None:
    write(tmp_path / "set", "", range(20))
    table(tmp_path / "set", "labels.csv", "file,label", change([f"{value}.png,cat" for value in range(20)]))
    assert load(tmp_path / "set", IMAGES).classes == ()
    with pytest.raises(ValueError, match=fragment.replace(".", r"\.")):
        load(tmp_path / "set")


def test_class_folders_come_before_a_table(tmp_path: Path) -> None:
    two_classes(tmp_path / "set")
    table(tmp_path / "set", "metadata.csv", "file_name,label", ["cat/0.png,emu"])
    assert load(tmp_path / "set").classes == ("cat", "dog")


def test_many_images_beside_folders_are_not_left_out_in_silence(tmp_path: Path) -> None:
    write(tmp_path / "set", "", range(30))
    write(tmp_path / "set", "thumbnails", range(5))
    with pytest.raises(ValueError, match="holds 30 images beside folders of images, such as thumbnails/"):
        load(tmp_path / "set", IMAGES)


def test_extra_images_need_classes(tmp_path: Path) -> None:
    two_classes(tmp_path / "set")
    write(tmp_path / "extra", "", range(5))
    with pytest.raises(ValueError, match="extra images need a class each"):
        load_extra(DataConfig(source=str(tmp_path / "extra")), like=load(tmp_path / "set").train, cache=tmp_path)


def test_a_table_as_source_is_answered_with_its_folder(tmp_path: Path) -> None:
    table(tmp_path, "labels.csv", "file,label", [])
    with pytest.raises(ValueError, match=r"labels\.csv is no source of images: give the folder that it lies in"):
        load(tmp_path / "labels.csv")
