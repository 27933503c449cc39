"""JSMA: the pair that it chooses, how far it moves, and how many values it may."""

import pytest
import torch

from attacks import L0, fooled
from attacks.minimal.jsma import _pair, jsma


def test_the_pair_has_the_largest_product_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted, others = torch.randn(20, 300, generator=generator), 3 * torch.randn(20, 300, generator=generator)
    way = (wanted - others).sign()
    wanted, others = wanted * way, others * way
    usable = torch.rand(20, 300, generator=generator) < 0.3  # fewer than the candidates
    raised = wanted[:, :, None] + wanted[:, None]
    lowered = -(others[:, :, None] + others[:, None])
    both = usable[:, :, None] & usable[:, None] & (raised > 0) & (lowered > 0)
    place = torch.where(both, raised * lowered, 0).triu(diagonal=1).flatten(1).argmax(dim=1)
    expected = torch.stack([place // 300, place % 300], dim=1)
    assert torch.equal(_pair(wanted, others, usable).sort(dim=1).values, expected)


def test_where_no_two_values_have_both_effects_those_with_the_largest_difference_are_taken() -> None:
    wanted, others = torch.tensor([[0.5, 3.0, 1.0, 2.0]]), torch.zeros(1, 4)
    usable = torch.tensor([[True, False, True, True]])
    assert _pair(wanted, others, usable).tolist() == [[3, 2]]


def test_one_value_alone_is_a_pair_with_itself() -> None:
    one = torch.ones(1, 1)
    assert _pair(one, -one, one > 0).tolist() == [[0, 0]]


def test_no_more_values_change_than_gamma_allows_and_none_by_more_than_theta(rowwise, draw) -> None:
    images = draw(32)
    labels = rowwise.logits(images).argmax(dim=1)
    eps = torch.full((32,), 16.0, dtype=torch.float64)
    adversarial = jsma(rowwise, images, labels, eps=eps, theta=0.3, gamma=0.25)  # of 16 values, in two pairs
    changed = (adversarial - images).abs()
    assert 2 < L0.size(adversarial - images).max() <= 4
    assert changed.max() <= 0.3 * 2 + 1e-12
    bold = jsma(rowwise, images, labels, eps=eps, gamma=1.0)
    assert fooled(rowwise.logits(bold), labels).sum() > fooled(rowwise.logits(adversarial), labels).sum()


def test_a_step_costs_two_passes_each_way(rowwise, draw) -> None:
    images = draw(4)
    labels = rowwise.logits(images).argmax(dim=1)
    with rowwise.tallied(4) as tally:
        jsma(rowwise, images, labels, theta=1e-4, gamma=0.25, search_steps=0)
    assert tally.forwards.tolist() == tally.backwards.tolist() == [6] * 4  # at the image and after each of two steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theta": 0.0}, "theta and gamma must be above 0 and at most 1; got 0.0 and 0.145"),
        ({"gamma": 1.5}, "theta and gamma must be above 0 and at most 1; got 1.0 and 1.5"),
        ({"search_steps": -1}, "search_steps must be 0 or more; got -1"),
        ({"norm": "l1"}, "jsma has no l1 form: its norm is l0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        jsma(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
