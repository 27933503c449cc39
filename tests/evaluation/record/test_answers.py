"""Answers image by image come back as they were stored, and what is no such table is none."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.record.answers import FILE, Answers, numbered


def test_answers_come_back(tmp_path: Path) -> None:
    flags = {
        ("clean_accuracy", "clean"): np.array([True, True, False]),
        ("robust_accuracy", 'a, "b" 1'): np.array([True, False, False]),
    }
    Answers(("a", "b", "a-2"), flags).save(tmp_path)
    assert (tmp_path / FILE).read_text().splitlines()[1] == "a,1,1"
    found = Answers.load(tmp_path)
    assert found is not None
    assert found.images == ("a", "b", "a-2")
    assert found.flags.keys() == flags.keys()
    assert all((found.flags[name] == flags[name]).all() for name in flags)


@pytest.mark.parametrize("text", [None, "", "image\n", "image,x y\na\n", "image,x y\na,2\n", "image,x\na,1\n", "\x00"])
def test_what_is_no_table_of_answers_is_none(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    found = Answers.load(tmp_path)
    assert found is None or not found.flags


def test_images_of_one_content_are_numbered() -> None:
    assert numbered(["a", "b", "a", "a"]) == ("a", "b", "a-2", "a-3")
