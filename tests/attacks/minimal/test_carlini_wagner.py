"""Carlini-Wagner: confidence, who stops when, and the optimiser with one row a sample."""

import pytest
import torch

from attacks.minimal.adam import Adam
from attacks.minimal.carlini_wagner import carlini_wagner
from attacks.objectives import margin


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_confidence_is_a_margin_that_the_result_has(norm, convolutional, draw) -> None:
    images = draw(6, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    margins = [
        margin(convolutional.logits(carlini_wagner(
            convolutional, images, labels, norm=norm, steps=60, search_steps=8, confidence=confidence
        )), labels)
        for confidence in (0.0, 0.5)
    ]  # fmt: skip
    assert (margins[1] >= 0.5).all()
    assert (margins[0] < 0.5).any()


def test_a_descent_that_gets_nowhere_is_ended_for_that_sample_alone(convolutional, draw) -> None:
    images = draw(6, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    tallies = []
    for abort_early in (False, True):
        with convolutional.tallied(6) as tally:
            carlini_wagner(convolutional, images, labels, steps=60, search_steps=4, abort_early=abort_early)
        tallies.append(tally.backwards)
    assert (tallies[0] == 240).all()
    assert (tallies[1] < 240).all()
    assert len(tallies[1].unique()) > 1


def test_adam_is_torchs_where_all_rows_are_at_one_step(draw) -> None:
    point = torch.nn.Parameter(draw(3))
    optimiser = torch.optim.Adam([point], lr=0.02)
    adam, ours = Adam.of(point.data), point.data.clone()
    for step in range(5):
        point.grad = (3 * point.data).cos()
        adam, move = adam.move((3 * ours).cos(), torch.full((3,), step), 0.02)
        ours = ours + move
        optimiser.step()
        torch.testing.assert_close(ours, point.data, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps and search_steps must be 1 or more; got 0 and 9"),
        ({"step_size": 0.0}, "step_size and start_weight must be above 0; got 0.0 and 0.001"),
        ({"confidence": -1.0}, "confidence must be finite and 0 or above; got -1.0"),
        ({"norm": "l1"}, "carlini_wagner has no l1 form: choose from l2, linf"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        carlini_wagner(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
