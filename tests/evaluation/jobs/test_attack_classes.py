"""Accuracy by class, what broken images became, and pictures of which each is shown once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluation.jobs.attack.classes import became_panel, classes_panel, first_answers
from evaluation.jobs.attack.panels import triplet_panels
from evaluation.under_attack.outcomes import Clean, Outcome

CLASSES = ("ant", "bee", "cat")
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def one_hot(answers: list[int]) -> Tensor:
    return torch.eye(3)[torch.tensor(answers)]


def outcome(clean: Clean, answers: list[int]) -> Outcome:
    logits, images = one_hot(answers), torch.zeros(6, 1, 4, 4)
    nothing = torch.zeros(6, dtype=torch.int64)
    return Outcome(clean, clean.correct, images, logits, logits, nothing.float(), nothing.float(), nothing, nothing)


@pytest.fixture
def outcomes() -> list[Outcome]:
    """The last bee is wrong as it is; the first attack breaks two ants, the second the cat and an ant of the first."""
    clean = Clean(LABELS, one_hot([0, 0, 0, 1, 2, 2]))
    return [outcome(clean, [1, 2, 0, 1, 2, 2]), outcome(clean, [2, 0, 0, 1, 2, 0])]


def test_accuracy_by_class_is_clean_and_the_worst_case_with_intervals(outcomes):
    panel = classes_panel({"linf 0.1": outcomes}, CLASSES)
    clean, worst = panel.series
    assert (clean.name, worst.name) == ("clean", "linf 0.1")
    assert panel.categories == CLASSES
    assert clean.values == (1, 0.5, 1)
    assert worst.values == pytest.approx((1 / 3, 0.5, 0))
    assert all(low <= value <= high for low, value, high in zip(worst.low, worst.values, worst.high, strict=True))


def test_broken_images_are_counted_once_by_the_class_that_they_became(outcomes):
    assert first_answers(outcomes).tolist() == [1, 2, -1, -1, -1, 0]
    panel = became_panel(outcomes, CLASSES, where="linf 0.1")
    assert panel.rows == (("ant", 3, 2, "bee (1), cat (1)"), ("cat", 1, 1, "ant (1)"))
    unbroken = [outcome(outcomes[0].clean, [0, 0, 0, 1, 2, 2])]
    assert became_panel(unbroken, CLASSES, where="linf 0.1") is None


def test_many_classes_leave_the_lowest():
    labels = torch.arange(50)
    logits = torch.eye(50)
    clean = Clean(labels, logits)
    nothing = torch.zeros(50, dtype=torch.int64)
    attacked = logits.roll(1, dims=0)[torch.arange(50)]
    attacked[25:] = logits[25:]
    images = torch.zeros(50, 1, 2, 2)
    found = Outcome(
        clean, clean.correct, images, attacked, attacked, nothing.float(), nothing.float(), nothing, nothing
    )
    panel = classes_panel({"linf 0.1": [found]}, [str(label) for label in range(50)])
    assert len(panel.categories) == 20
    assert set(panel.series[1].values) == {0.0}
    assert "20 lowest of 50" in panel.caption


def test_each_picture_is_shown_once(outcomes, tmp_path: Path):
    panels = triplet_panels(tmp_path, torch.zeros(6, 1, 4, 4), {"a": outcomes[0], "b": outcomes[1]}, CLASSES)
    assert [len(panel.items) // 3 for panel in panels] == [2, 1]
