"""What a judge knows of held-out images, in words and as a finding."""

import math

import pytest
import torch
from torch import Tensor

from evaluation.features.extractor_findings import judge_findings
from evaluation.features.features import Extractor
from evaluation.features.held_out import HeldOut


def nothing(images: Tensor) -> tuple[Tensor, Tensor]:
    return images, images


def weak(held_out: HeldOut | None) -> bool:
    found = judge_findings(Extractor("cnn", "0123", nothing, held_out=held_out))
    assert [(one.level, one.code) for one in found] in ([], [("warning", "weak-judge")])
    return bool(found)


def test_counts_and_words() -> None:
    found = HeldOut.of(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    assert found == (3, 4, 2, "held-out images")
    assert found.accuracy.value == 0.75
    assert found.words.startswith("which names 75.0 % [")
    assert found.words.endswith("] of 4 held-out images right")
    assert HeldOut.of(torch.zeros(0).long(), torch.zeros(0).long()).words == "tried on no held-out images"


@pytest.mark.parametrize(
    ("held_out", "is_weak"),
    [
        (HeldOut(96, 100, 12), False),
        (HeldOut(70, 100, 12), True),  # errs often
        (HeldOut(95, 100, 95), True),  # always names the commonest class
        (HeldOut(50, 50, 50), True),  # knows one class alone
        (HeldOut(3, 3, 2), True),  # tried on too few
        (HeldOut(0, 0, 0), True),
        (None, False),  # no classifier, or one that nobody tried
    ],
)
def test_a_judge_that_errs_or_guesses_is_weak(held_out: HeldOut | None, is_weak: bool) -> None:
    assert weak(held_out) == is_weak


def test_no_images_have_no_accuracy() -> None:
    assert math.isnan(HeldOut(0, 0, 0).accuracy.value)
