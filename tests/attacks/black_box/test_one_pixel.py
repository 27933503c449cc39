"""A few pixels: as many as the budget has room for, and the best ones that there are."""

import pytest
import torch

from attacks import Classifier, fooled
from attacks.black_box.one_pixel import _three, one_pixel
from attacks.random import normal, uniform


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_sample_falls_exactly_when_its_best_pixels_suffice(pixels, linear) -> None:
    weight = normal(3, torch.arange(1), (1, 4, 5), dtype=torch.float64)
    images = uniform(1, torch.arange(40), (1, 4, 5), dtype=torch.float64)
    classifier = linear(weight, -0.5 * weight.sum().item())
    score = classifier.logits(images)[:, 1]
    labels = (score > 0).long()
    way = torch.where(score > 0, -1, 1)[:, None, None, None] * weight
    most = (way * torch.where(way > 0, 1 - images, -images)).flatten(1).topk(pixels, dim=1).values.sum(1)
    adversarial = one_pixel(classifier, images, labels, pixels=pixels, queries=600, population=40)
    found = fooled(classifier.logits(adversarial), labels)
    assert found[most > 1.05 * score.abs()].all()
    assert not found[most < score.abs()].any()
    assert 5 < found.sum() < 40
    assert ((adversarial != images).flatten(1).sum(1) <= pixels).all()


def test_a_budget_of_values_is_one_of_pixels(convolutional, draw) -> None:
    """A colour pixel takes three values; less than that is no pixel, and `pixels` is a bound of its own."""
    images = draw(8, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    eps = torch.tensor([0, 2, 3, 5, 6, 9, 100, 7])
    for pixels in (None, 2):
        adversarial = one_pixel(convolutional, images, labels, eps=eps, pixels=pixels, queries=150, population=20)
        changed = (adversarial != images).any(dim=1).flatten(1).sum(1)
        allowed = (eps // 3).clamp(max=64 if pixels is None else pixels)
        assert (changed <= allowed).all()
        assert torch.equal(changed > 0, allowed > 0)


def test_queries_are_counted_and_end() -> None:
    """All of them where nothing can be changed."""
    layer = torch.nn.Linear(16, 2, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 0.0]))
    classifier = Classifier(torch.nn.Sequential(torch.nn.Flatten(), layer))
    images = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64)
    with classifier.tallied(3) as tally:
        one_pixel(classifier, images, torch.tensor([0, 1, 0]), queries=30, population=8)
    assert tally.forwards.tolist() == [30, 1, 30]


def test_three_parents_are_three() -> None:
    draws = uniform(0, torch.arange(5000), (3,))
    draws[0] = 1 - 1e-8
    parents = torch.stack(_three(draws, 4))
    assert (parents >= 0).all()
    assert (parents < 4).all()
    assert (parents.sort(dim=0).values.diff(dim=0) > 0).all()
    assert len(parents.T.unique(dim=0)) == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l2"}, "one_pixel has no form for l2: it counts values"),
        ({"pixels": 0}, "pixels and queries must be 1 or more; got pixels=0, queries=5000"),
        ({"population": 3}, "population must be 4 or more"),
    ],
)
def test_wrong_options_are_named(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        one_pixel(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
