"""How near FAB comes, and what it costs."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, Classifier, fooled
from attacks.minimal.fab import fab, fab_t
from attacks.minimal.hyperplanes import HYPERPLANE_NORMS, distances, move_onto
from attacks.random import normal, uniform

every_norm = pytest.mark.parametrize("norm", [NORMS[name] for name in HYPERPLANE_NORMS], ids=HYPERPLANE_NORMS)
both = pytest.mark.parametrize("attack", [fab, fab_t])
COUNT, SHAPE = 20, (1, 3, 4)


@pytest.fixture
def planes() -> Callable[[int], tuple[Classifier, Tensor]]:
    """A number of classes to a linear classifier and its weights (classes, *SHAPE)."""

    def build(classes: int) -> tuple[Classifier, Tensor]:
        layer = nn.Linear(12, classes, dtype=torch.float64)
        weights = normal(7, torch.arange(classes), SHAPE, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(weights.flatten(1))
            layer.bias.copy_(-0.5 * weights.flatten(1).sum(1))
        return Classifier(nn.Sequential(nn.Flatten(), layer)), weights

    return build


def functions(classifier: Classifier, weights: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The labels, and the normals and values of the logits' differences to them, that to itself left at infinity."""
    logits = classifier.logits(images)
    labels = logits.argmax(dim=1)
    values = logits - logits.gather(1, labels[:, None])
    values.scatter_(1, labels[:, None], -torch.inf)
    return labels, weights[None] - weights[labels][:, None], values


# What is found.


@both
@every_norm
@pytest.mark.parametrize("classes", [2, 6])
def test_on_a_linear_network_the_distance_is_exact(attack, norm, classes, planes) -> None:
    classifier, weights = planes(classes)
    images = 0.5 + 0.1 * (uniform(1, torch.arange(COUNT), SHAPE, dtype=torch.float64) - 0.5)
    labels, normals, values = functions(classifier, weights, images)
    exact = distances(norm, normals, values).nan_to_num(nan=torch.inf).amin(dim=1)
    assert exact.max() < 0.4  # [0, 1] is never in the way
    adversarial = attack(classifier, images, labels, norm=norm, steps=5)
    assert fooled(classifier.logits(adversarial), labels).all()
    sizes = norm.size(adversarial - images)
    assert (sizes >= exact * (1 - 1e-9)).all()
    assert (sizes <= exact * 1.001).all()


@every_norm
@pytest.mark.parametrize(("attack", "classes"), [(fab, 2), (fab_t, 2), (fab_t, 6)])
def test_bounds_in_the_way_change_nothing_about_that(attack, norm, classes, planes, draw) -> None:
    """With several classes `fab` may take another for the nearest than the bounds make it, as in the paper."""
    classifier, weights = planes(classes)
    images = draw(COUNT, SHAPE)
    labels, normals, values = functions(classifier, weights, images)
    exact = torch.full_like(values, torch.inf)
    for rival in range(classes):
        move = move_onto(norm, images, normals[:, rival], values[:, rival].clamp(min=-1e9))
        value = values[:, rival] + (normals[:, rival] * move).sum(dim=(1, 2, 3))
        exact[:, rival] = torch.where(value.abs() < 1e-9, norm.size(move), torch.inf)  # some lie outside [0, 1]
    exact = exact.amin(dim=1)
    assert not torch.allclose(exact, distances(norm, normals, values).nan_to_num(nan=torch.inf).amin(dim=1), rtol=0.01)
    adversarial = attack(classifier, images, labels, norm=norm, steps=25)
    assert fooled(classifier.logits(adversarial), labels).all()
    torch.testing.assert_close(norm.size(adversarial - images), exact, rtol=0.01, atol=0)


@both
@every_norm
def test_exactly_the_samples_nearer_than_eps_fall(attack, norm, planes, draw) -> None:
    classifier, weights = planes(2)
    images = draw(COUNT, SHAPE)
    labels, normals, values = functions(classifier, weights, images)
    rival = 1 - labels
    move = move_onto(norm, images, normals[torch.arange(COUNT), rival], values[torch.arange(COUNT), rival])
    for ratio in (0.99, 1.01):
        adversarial = attack(classifier, images, labels, norm=norm, eps=ratio * norm.size(move), steps=20)
        assert fooled(classifier.logits(adversarial), labels).tolist() == [ratio > 1] * COUNT


@every_norm
def test_targets_are_reached_at_the_exact_distance(norm, planes, draw) -> None:
    classifier, weights = planes(2)
    images = 0.5 + 0.1 * (draw(COUNT, SHAPE) - 0.5)
    labels, normals, values = functions(classifier, weights, images)
    exact = distances(norm, normals, values).nan_to_num(nan=torch.inf).amin(dim=1)
    adversarial = fab(classifier, images, 1 - labels, norm=norm, steps=5, targeted=True)
    assert fooled(classifier.logits(adversarial), 1 - labels, targeted=True).all()
    torch.testing.assert_close(norm.size(adversarial - images), exact, rtol=0.001, atol=0)


def test_every_class_of_several_is_reached(rowwise, draw) -> None:
    images = draw(64)
    for target in range(5):
        targets = torch.full((64,), target)
        adversarial = fab(rowwise, images, targets, steps=20, targeted=True)
        assert fooled(rowwise.logits(adversarial), targets, targeted=True).double().mean() > 0.6


@every_norm
def test_towards_the_likely_classes_it_comes_as_near_as_towards_all(norm, rowwise, draw) -> None:
    images = draw(32)
    labels = rowwise.logits(images).argmax(dim=1)
    sizes = [norm.size(attack(rowwise, images, labels, norm=norm, steps=30) - images) for attack in (fab, fab_t)]
    assert (sizes[1] <= sizes[0] * 1.02).double().mean() > 0.95
    assert sizes[1].median() <= sizes[0].median() * 1.001


@both
@every_norm
def test_steps_and_the_search_only_come_nearer(attack, norm, rowwise, draw) -> None:
    images = draw(16)
    labels = rowwise.logits(images).argmax(dim=1)

    def sizes(**options) -> Tensor:
        return norm.size(attack(rowwise, images, labels, norm=norm, **options) - images)

    few = sizes(steps=3, search_steps=0)
    for better in (sizes(steps=9, search_steps=0), sizes(steps=3)):
        assert (better <= few).all()
        assert (better < few).any()


class Plateau(nn.Module):
    """Flat around images of 0.5: whoever starts there learns nothing."""

    def forward(self, images: Tensor) -> Tensor:
        away = ((images - 0.5).abs() - 0.02).relu().flatten(1).sum(dim=1)
        return torch.stack([torch.full_like(away, 0.1), away], dim=1)


@both
@every_norm
def test_a_restart_leaves_a_plateau_in_the_same_way_in_any_batch(attack, norm) -> None:
    classifier, labels = Classifier(Plateau()), torch.zeros(6, dtype=torch.int64)
    images = torch.full((6, 1, 2, 2), 0.5, dtype=torch.float64)
    run = partial(attack, classifier, norm=norm, steps=8)
    assert torch.equal(run(images, labels), images)
    whole = run(images, labels, restarts=2)
    assert fooled(classifier.logits(whole), labels).all()
    alone = [run(images[:1], labels[:1], restarts=2, indices=torch.tensor([k])) for k in range(6)]
    assert torch.equal(torch.cat(alone), whole)
    assert not torch.equal(run(images, labels, restarts=2, seed=1), whole)


def test_what_cannot_be_fooled_comes_back_and_what_is_wrong_already_stays(linear, draw) -> None:
    images = draw(6)
    sure = linear(torch.ones(1, 4, 4, dtype=torch.float64), 1.0)
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    for attack in (fab, fab_t):
        before = sure.passes.forwards
        assert torch.equal(attack(sure, images, labels, steps=3), images)
        assert sure.passes.forwards - before == 3 * (1 + 4) + 3
        near = attack(sure, images, labels, steps=3, eps=0.1)
        assert (NORMS["linf"].size(near - images)[:3] > 0.09).all()  # the best try
        assert torch.equal(near[3:], images[3:])


# What it costs.


def test_a_step_is_one_look_at_the_network(rowwise, draw) -> None:
    images = draw(10)
    labels = rowwise.logits(images).argmax(dim=1)
    for attack, runs, classes in ((fab, 1, 5), (fab_t, 4, 1)):
        with rowwise.tallied(10) as tally:
            attack(rowwise, images, labels, steps=7, search_steps=2)
        assert tally.forwards.tolist() == [1 + runs * (7 + 1) + 2] * 10
        assert tally.backwards.tolist() == [runs * (7 + 1) * classes] * 10


@both
def test_a_sample_leaves_when_it_is_within_eps(attack, rowwise, draw) -> None:
    images = draw(32)
    labels = rowwise.logits(images).argmax(dim=1)
    sizes = NORMS["linf"].size(attack(rowwise, images, labels, steps=20) - images)
    with rowwise.tallied(32) as tally:
        attack(rowwise, images, labels, steps=20, eps=4 * sizes)
    assert (tally.forwards <= 6).double().mean() > 0.9


# Any number of classes, any precision.


def test_targets_are_as_many_as_there_are(planes, draw) -> None:
    images = draw(8, SHAPE)
    for classes, options, runs in ((2, {}, 1), (3, {}, 2), (40, {}, 9), (40, {"num_targets": 12}, 12)):
        classifier, _ = planes(classes)
        labels = classifier.logits(images).argmax(dim=1)
        with classifier.tallied(8) as tally:
            fab_t(classifier, images, labels, steps=2, search_steps=0, **options)
        assert tally.backwards.tolist() == [3 * runs] * 8


def test_colours_and_float32(convolutional, draw) -> None:
    images = draw(16, (3, 8, 8)).float()
    labels = convolutional.logits(images).argmax(dim=1)
    for attack in (fab, fab_t):
        for norm in HYPERPLANE_NORMS:
            adversarial = attack(convolutional, images, labels, norm=norm, steps=10)
            assert adversarial.dtype == torch.float32
            assert fooled(convolutional.logits(adversarial), labels).all()


# Against a mistake.


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l0"}, "fab has no l0 form: choose from linf, l2, l1"),
        ({"steps": 0}, "steps and restarts must be 1 or more, search_steps 0 or more; got 0, 1, 3"),
        ({"restarts": 0}, "got 100, 0, 3"),
        ({"search_steps": -1}, "got 100, 1, -1"),
        ({"alpha_max": 1.5}, "alpha_max must be between 0 and 1; got 1.5"),
        ({"eta": 0.9}, "eta must be 1 or more"),
        ({"beta": 1.0}, "beta must be between 0 and 1; got 1.0"),
        ({"labels": torch.tensor([7, 0])}, "label 7 is out of range: the classifier has 5 classes"),
    ],
)
def test_options_are_checked(attack, options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        attack(rowwise, draw(2), **{"labels": torch.tensor([0, 1]), **options})


def test_a_number_of_targets_is_checked(rowwise, draw) -> None:
    with pytest.raises(ValueError, match="num_targets must be 1 or more; got 0"):
        fab_t(rowwise, draw(2), torch.tensor([0, 1]), num_targets=0)
