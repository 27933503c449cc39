import pytest
import torch

from evaluation.own.semi_supervised import class_accuracy
from evaluation.statistics.intervals import wilson


def test_the_largest_class_logit_is_the_answer_however_far_below_the_fakes_zero() -> None:
    logits = torch.tensor([[-9.0, -8.0], [-7.0, -8.0], [3.0, 1.0]])
    assert class_accuracy(logits, torch.tensor([1, 0, 1])) == (2 / 3, *wilson(2, 3))


def test_labels_must_go_with_the_logits() -> None:
    with pytest.raises(ValueError, match=r"class logits \(3, 2\) do not go with labels \(2,\)"):
        class_accuracy(torch.zeros(3, 2), torch.zeros(2))
