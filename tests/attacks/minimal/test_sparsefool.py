"""How few pixels SparseFool changes, how near it comes in l1, and what it costs."""

import pytest
import torch
from torch import Tensor, nn

from attacks import L1, NORMS, Classifier, fooled
from attacks.minimal.hyperplanes import distances, move_onto
from attacks.minimal.sparsefool import sparsefool
from attacks.random import normal, uniform

COUNT, SHAPE = 24, (1, 3, 4)


@pytest.fixture
def plane() -> tuple[Classifier, Tensor]:
    """A linear classifier of two classes, and the difference of its weights."""
    layer = nn.Linear(12, 2, dtype=torch.float64)
    weights = normal(7, torch.arange(2), SHAPE, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
        layer.bias.copy_(-0.5 * weights.flatten(1).sum(1))
    return Classifier(nn.Sequential(nn.Flatten(), layer)), weights[1] - weights[0]


def function(plane: tuple[Classifier, Tensor], images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The labels, and the normals and values of the other logit minus the label's."""
    logits = plane[0].logits(images)
    labels = logits.argmax(dim=1)
    signs = 1 - 2 * labels
    return labels, signs[:, None, None, None] * plane[1], signs * logits.diff(dim=1).squeeze(1)


@pytest.mark.parametrize("depth", [1.0, 3.0])
def test_on_a_linear_network_the_distance_in_l1_is_exact(depth, plane, draw) -> None:
    middling = 0.5 + 0.1 * (uniform(1, torch.arange(COUNT), SHAPE, dtype=torch.float64) - 0.5)
    for images in (middling, draw(COUNT, SHAPE)):
        labels, normals, values = function(plane, images)
        moves = move_onto(L1, images, normals, values)
        adversarial = sparsefool(plane[0], images, labels, depth=depth, search_steps=8)
        assert fooled(plane[0].logits(adversarial), labels).all()
        torch.testing.assert_close(L1.size(adversarial - images), L1.size(moves), rtol=0.01, atol=0)
        assert ((adversarial != images).flatten(1).sum(1) <= (moves != 0).flatten(1).sum(1) + 1).all()
    assert not torch.allclose(L1.size(moves), distances(L1, normals[:, None], values[:, None]).squeeze(1), rtol=0.01)


def test_the_default_is_as_exact(plane, draw) -> None:
    images = draw(COUNT, SHAPE)
    labels, normals, values = function(plane, images)
    adversarial = sparsefool(plane[0], images, labels)
    assert fooled(plane[0].logits(adversarial), labels).all()
    sizes, exact = L1.size(adversarial - images), L1.size(move_onto(L1, images, normals, values))
    torch.testing.assert_close(sizes, exact, rtol=0.01, atol=0)


def test_exactly_the_samples_nearer_than_eps_fall(plane, draw) -> None:
    images = draw(COUNT, SHAPE)
    labels, normals, values = function(plane, images)
    exact = L1.size(move_onto(L1, images, normals, values))
    for ratio in (0.99, 1.01):
        adversarial = sparsefool(plane[0], images, labels, eps=ratio * exact)
        assert fooled(plane[0].logits(adversarial), labels).tolist() == [ratio > 1] * COUNT


def test_few_pixels_of_a_network_change(convolutional, draw) -> None:
    images = draw(32, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    adversarial = sparsefool(convolutional, images, labels)
    assert fooled(convolutional.logits(adversarial), labels).all()
    changed = (adversarial != images).flatten(1).sum(dim=1)
    assert changed.double().median() <= 0.05 * 192
    inside = (adversarial != images) & (adversarial > 0) & (adversarial < 1)
    assert (inside.flatten(1).sum(dim=1) <= 1).all()  # the last one alone stops on its way to a bound


def test_targets_are_reached(rowwise, draw) -> None:
    images = draw(32)
    targets = (rowwise.logits(images).argmax(dim=1) + 1) % 5
    adversarial = sparsefool(rowwise, images, targets, targeted=True)
    assert fooled(rowwise.logits(adversarial), targets, targeted=True).double().mean() > 0.5


def test_a_smaller_depth_and_the_search_come_nearer(rowwise, draw) -> None:
    images = draw(48)
    labels = rowwise.logits(images).argmax(dim=1)

    def sizes(**options) -> Tensor:
        adversarial = sparsefool(rowwise, images, labels, **options)
        return L1.size(adversarial - images)[fooled(rowwise.logits(adversarial), labels)]

    deep, shallow, searched = (
        sizes(depth=depth, search_steps=steps).mean() for depth, steps in ((3.0, 0), (1.0, 0), (3.0, 3))
    )
    assert shallow < deep
    assert searched < deep


def test_what_cannot_be_fooled_comes_back_and_what_is_wrong_already_stays(linear, draw) -> None:
    sure = linear(torch.ones(1, 4, 4, dtype=torch.float64), 1.0)
    images, labels = draw(6), torch.tensor([1, 1, 1, 0, 0, 0])
    with sure.tallied(6) as tally:
        assert torch.equal(sparsefool(sure, images, labels, steps=2), images)
    assert tally.forwards[3:].tolist() == [1, 1, 1]
    near = sparsefool(sure, images, labels, steps=2, eps=0.5)
    assert (L1.size(near - images)[:3] > 0.4).all()  # the best try
    assert torch.equal(near[3:], images[3:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"norm": name}, f"sparsefool has no {name} form: its norm is l1") for name in NORMS if name != "l1"),
        ({"steps": 0}, "steps must be 1 or more and search_steps 0 or more; got 0 and 3"),
        ({"num_candidates": 1}, "num_candidates must be 2 or more"),
        ({"overshoot": -1.0}, "overshoot must be finite and above 0"),
        ({"depth": 0.5}, "depth must be finite and 1 or more: less does not reach the boundary; got 0.5"),
    ],
)
def test_options_are_checked(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        sparsefool(rowwise, draw(2), torch.tensor([0, 1]), **options)
