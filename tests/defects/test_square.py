"""What is wrong with Square elsewhere."""

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, fooled
from attacks.black_box.square import square
from attacks.black_box.square_proposals import Stripes
from attacks.norms import LINF
from attacks.random import uniform
from attacks.samples import Samples


class Weighted(nn.Module):
    """Logits (0, weight . image + bias)."""

    def __init__(self, weight: Tensor, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), bias
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        score = (images * self.weight).sum((1, 2, 3)) + self.bias
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_autoattack_square_shares_one_window_and_colour_in_a_batch() -> None:
    """AutoAttack draws one window and one colour a query for all samples (square.py:257-261): they fall together."""
    images = torch.full((64, 3, 12, 12), 0.5, dtype=torch.float64)
    samples = Samples.of(images, torch.zeros(64, dtype=torch.int64), eps=0.1, norm=LINF, targeted=False, indices=None)
    proposals = Stripes(images, p_init=0.8, seed=0)
    _, draw = proposals.lots.next(proposals.lots.joined(samples.indices), samples.indices, torch.full((64,), 102))
    changed = proposals.next(samples, images, draw) != images
    windows = {tuple(mask.any(0).flatten().tolist()) for mask in changed}
    assert len(windows) > 20
    assert all(mask.any(0).sum() == changed[0].any(0).sum() for mask in changed)


@pytest.mark.parametrize("last", ["row", "column"])
def test_autoattack_square_never_reaches_the_last_row(last) -> None:
    """AutoAttack places windows from 0 to h - s - 1 (square.py:234): the last row keeps the signs of the start."""
    weight = torch.zeros(1, 8, 8, dtype=torch.float64)
    if last == "row":
        weight[:, -1] = 1
    else:
        weight[:, :, -1] = 1
    images = torch.full((32, 1, 8, 8), 0.5, dtype=torch.float64)
    classifier = Classifier(Weighted(weight, -4.79))  # 8 pixels give 4.8 at most, all of them right
    labels = torch.zeros(32, dtype=torch.int64)
    assert fooled(classifier.logits(square(classifier, images, labels, eps=0.1, queries=400)), labels).all()


@pytest.mark.parametrize("shape", [(1, 6, 10), (3, 10, 6), (1, 3, 20)])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_autoattack_square_cannot_take_images_that_are_not_square(norm, shape) -> None:
    """AutoAttack warns (square.py:117-119), and its start in l2 and l1 runs over the edge or divides by zero."""
    images = 0.5 + 0.01 * uniform(0, torch.arange(16), shape, dtype=torch.float64)
    weight = uniform(1, torch.arange(1), shape, dtype=torch.float64)[0] - 0.5
    score = (images * weight).sum((1, 2, 3))
    classifier = Classifier(Weighted(weight, float(-score.max() - 1e-3)))
    labels = torch.zeros(16, dtype=torch.int64)
    eps = {"linf": 0.4, "l2": 1.5, "l1": 8.0}[norm]
    adversarial = square(classifier, images, labels, eps=eps, norm=norm, queries=200)
    assert fooled(classifier.logits(adversarial), labels).all()


def test_autoattack_square_stops_at_a_tie() -> None:
    """AutoAttack takes a margin of 0 for a success (square.py:279), though the largest logit is still the label's."""
    classifier = Classifier(Weighted(torch.zeros(1, 4, 4, dtype=torch.float64), 0.0))
    images, labels = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    with classifier.tallied(3) as tally:
        square(classifier, images, labels, eps=0.1, queries=30)
    assert tally.forwards.tolist() == [30] * 3


def test_art_square_predicts_the_whole_dataset_with_each_query() -> None:
    """ART asks for all samples, some of them thrice, whoever is left: 303 passes a sample for 100 queries."""
    images = torch.full((10, 1, 4, 4), 0.5, dtype=torch.float64)
    classifier = Classifier(Weighted(torch.ones(1, 4, 4, dtype=torch.float64), -100.0))
    labels = torch.tensor([1] * 9 + [0])  # nine are wrong from the start, and the tenth never will be
    with classifier.tallied(10) as tally:
        square(classifier, images, labels, eps=0.1, queries=100)
    assert tally.forwards.tolist() == [1] * 9 + [100]
    assert classifier.passes.forwards == 109
