"""Files without room for a digest: what has changed since it was written is refused, what others made is read."""

import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from advgan.classifier.sources import class_names
from advgan.config import DataConfig
from advgan.data import load_data
from advgan.data.reading.array_files import READERS
from advgan.data.reading.folder import list_folder
from advgan.storage.contents import CONTENTS, add_contents, changed, checked, digests, write_contents
from evaluation.jobs.sample.files import write_images
from evaluation.record.answers import Answers


def flip(file: Path, *, place: int = -20) -> None:
    """Flip one bit."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_a_changed_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" * 9)
    add_contents(tmp_path, [tmp_path / "a.csv"])
    assert checked(tmp_path, "a.csv") == tmp_path / "a.csv"
    flip(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"a\.csv is not what was written .* remove .*contents\.json where"):
        checked(tmp_path, "a.csv")
    (tmp_path / CONTENTS).unlink()
    checked(tmp_path, "a.csv")


def test_what_was_added_beside_it_and_what_went_are_no_damage(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        add_contents(tmp_path, [tmp_path / name])
    (tmp_path / "a").unlink()
    (tmp_path / "c").write_text("mine")
    checked(tmp_path, "c")
    add_contents(tmp_path, [])
    add_contents(tmp_path, [tmp_path / "b"])
    assert list(digests(tmp_path)) == ["b"]


def test_a_lost_file_and_a_damaged_document_are_changes_of_a_whole_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    write_contents(tmp_path)
    assert changed(tmp_path) is None
    flip(tmp_path / CONTENTS)
    assert changed(tmp_path) == tmp_path / CONTENTS
    add_contents(tmp_path, [tmp_path / "a"])
    assert changed(tmp_path) is None
    (tmp_path / "a").unlink()
    assert changed(tmp_path) == tmp_path / "a"


def test_a_changed_picture_of_ours_is_not_decoded(tmp_path: Path) -> None:
    digits = load_data(DataConfig(source="digits")).test
    write_images(tmp_path / "images", digits.images[:4].float() / 255, [f"{k}/{k:06d}" for k in range(4)])
    files, _ = list_folder(tmp_path)
    files.open("images/0/000000.png")
    flip(tmp_path / "images/1/000001.png", place=-30)
    with pytest.raises(ValueError, match=r"000001\.png is not what was written"):
        files.open("images/1/000001.png")


def test_changed_answers_are_not_compared(tmp_path: Path) -> None:
    answers = Answers(("a", "b"), {("robust_accuracy", "fgsm"): np.array([True, False])})
    add_contents(tmp_path, [answers.save(tmp_path)])
    assert Answers.load(tmp_path) is not None
    flip(tmp_path / "answers.csv", place=-2)
    with pytest.raises(ValueError, match=r"answers\.csv is not what was written"):
        Answers.load(tmp_path)


def test_names_of_classes_come_from_no_changed_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"network")
    (tmp_path / "config.json").write_text('{"kind": "classifier", "classes": ["cat", "dog"]}')
    assert class_names(str(tmp_path / "model.onnx")) == ("cat", "dog")
    write_contents(tmp_path)
    flip(tmp_path / "config.json", place=-5)
    with pytest.raises(ValueError, match=r"config\.json is not what was written"):
        class_names(str(tmp_path / "model.onnx"))


def test_arrays_of_a_changed_archive_are_read_as_they_were_or_not_at_all(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 255, (9, 8, 8, 1), dtype=np.uint8), np.arange(9)
    np.savez(tmp_path / "a.npz", images=images, labels=labels, classes=np.array(["x"] * 9))
    torch.save({"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}, tmp_path / "a.pt")
    for file in (tmp_path / "a.npz", tmp_path / "a.pt"):
        whole, good = file.read_bytes(), READERS[file.suffix](file)
        for place in range(0, len(whole), 11):
            flip(file, place=place)
            found = None
            with suppress(ValueError):
                found = READERS[file.suffix](file)
            if found is not None:
                assert found.keys() == good.keys()
                assert all(np.array_equal(found[name], good[name]) for name in good)
            file.write_bytes(whole)


def test_a_member_that_is_no_array_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", b"no array")
    with pytest.raises(ValueError, match=r"a\.npz: images is no array: save it again"):
        READERS[".npz"](tmp_path / "a.npz")
