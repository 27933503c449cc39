"""EAD: its two rules, what beta does, and what a step costs. Its closed form is in test_nearest.py."""

import pytest
import torch
from torch import Tensor

from attacks import L1, L2
from attacks.minimal.ead import ead

BETA = 0.05


def elastic_net(delta: Tensor) -> Tensor:
    return BETA * L1.size(delta) + L2.size(delta) ** 2


def test_each_rule_returns_the_smallest_in_its_own_measure(convolutional, draw) -> None:
    images = draw(12, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    found = {
        rule: ead(convolutional, images, labels, beta=BETA, rule=rule, steps=60, search_steps=6) - images
        for rule in ("en", "l1")
    }
    assert (elastic_net(found["en"]) <= elastic_net(found["l1"]) * 1.05).all()
    assert elastic_net(found["en"]).mean() < elastic_net(found["l1"]).mean()
    assert (L1.size(found["l1"]) <= L1.size(found["en"]) * (1 + 1e-9)).all()
    assert L1.size(found["l1"]).mean() < L1.size(found["en"]).mean()


def test_changes_below_beta_are_none(convolutional, draw) -> None:
    images = draw(12, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    some, more = (
        (ead(convolutional, images, labels, beta=beta, steps=60, search_steps=6) != images).sum()
        for beta in (0.05, 1e-4)
    )
    assert some < 0.5 * more


def test_a_step_costs_two_forward_passes_and_a_backward_pass(convolutional, draw) -> None:
    images = draw(3, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    with convolutional.tallied(3) as tally:
        ead(convolutional, images, labels, steps=20, search_steps=3, rule="en")
    assert (tally.forwards.tolist(), tally.backwards.tolist()) == ([120] * 3, [60] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search_steps": 0}, "steps and search_steps must be 1 or more; got 1000 and 0"),
        ({"start_weight": 0.0}, "step_size and start_weight must be above 0; got 0.01 and 0.0"),
        ({"beta": -0.1}, "beta and confidence must be finite and 0 or above; got -0.1 and 0.0"),
        ({"rule": "l2"}, "unknown rule 'l2': choose from l1, en"),
        ({"norm": "l2"}, "ead has no l2 form: its norm is l1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        ead(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
