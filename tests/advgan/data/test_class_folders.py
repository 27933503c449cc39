"""No name of a class leads out of the folder in which its images are written, and no two share one."""

from pathlib import Path

import pytest
import torch

from advgan.data.class_folders import class_folders
from evaluation.jobs.sample.files import sample_names, write_images
from evaluation.under_attack.adversarial_sets import Batch, save_adversarial_set

HOSTILE = [
    *("../../x", "/abs/olute", "C:\\x", "a\0b", ".", "..", "", " ", "...", "a/../../b", "~/x", ".hidden"),
    *("nul", "CON.txt"),
    *("x" * 5000, "é" * 200, "new\nline", "\x1b[31mred", "\u202egnp.exe", "\ud800", "a|b?", "trailing. "),
]  # fmt: skip


def test_hostile_names_stay_inside_and_stay_apart(tmp_path: Path) -> None:
    found = class_folders(HOSTILE)
    assert len({*found}) == len(HOSTILE)
    for name in found:
        place = tmp_path / name
        assert place.resolve().parent == tmp_path.resolve()
        place.mkdir()
        assert not name.startswith(".")
        assert name.isprintable()
    assert len([*tmp_path.iterdir()]) == len(HOSTILE)


@pytest.mark.parametrize(
    "classes",
    [("0", "1", "10"), ("cat", "dog"), ("A", "a"), ("große Katze", "猫", "a.b", "it's"), ()],
    ids=lambda names: "-".join(names) or "none",
)
def test_safe_names_are_kept(classes: tuple[str, ...]) -> None:
    assert class_folders(classes) == classes


def test_names_that_become_alike_are_told_apart() -> None:
    assert class_folders(("a/b", "a_b", "a:b", "a_b")) == ("a_b-0", "a_b", "a_b-2", "a_b-3")
    assert class_folders(("..", "0")) == ("0-0", "0")


def test_samples_and_adversarial_pictures_lie_in_such_folders(tmp_path: Path) -> None:
    classes = ("../../x", "/abs")
    names = sample_names(torch.arange(2), torch.arange(2), classes)
    write_images(tmp_path / "deep" / "samples", torch.zeros(2, 1, 8, 8), names)
    numbers, images = torch.arange(2), torch.zeros(2, 1, 8, 8)
    batch = Batch(numbers, numbers, images, images, numbers, numbers, numbers)
    save_adversarial_set(tmp_path / "deep" / "attacked", [batch], {}, form="png", classes=classes)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    for made in ("samples", "attacked"):
        folders = {path.name for path in (tmp_path / "deep" / made).iterdir() if path.is_dir()}
        assert folders == {*class_folders(classes)}
