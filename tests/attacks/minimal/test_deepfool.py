"""How near DeepFool comes, and what it costs."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, Classifier, fooled
from attacks.minimal.deepfool import DEEPFOOL_NORMS, deepfool
from attacks.minimal.hyperplanes import distances, move_onto
from attacks.random import normal, seeded, uniform

every_norm = pytest.mark.parametrize("norm", [NORMS[name] for name in DEEPFOOL_NORMS], ids=DEEPFOOL_NORMS)
COUNT, SHAPE = 24, (1, 3, 4)


def planes(classes: int) -> tuple[Classifier, Tensor]:
    """A linear classifier and its weights (classes, *SHAPE)."""
    layer = nn.Linear(12, classes, dtype=torch.float64)
    weights = normal(7, torch.arange(classes), SHAPE, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
        layer.bias.copy_(-0.5 * weights.flatten(1).sum(1))
    return Classifier(nn.Sequential(nn.Flatten(), layer)), weights


def functions(classifier: Classifier, weights: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The labels, and the normals and values of the other logits minus the label's."""
    logits = classifier.logits(images)
    labels = logits.argmax(dim=1)
    others = logits.argsort(dim=1)[:, :-1]
    values = logits.gather(1, others) - logits.amax(dim=1, keepdim=True)
    return labels, weights[others] - weights[labels][:, None], values


@pytest.fixture
def middling() -> Tensor:
    """Images that keep away from 0 and 1."""
    return 0.5 + 0.1 * (uniform(1, torch.arange(COUNT), SHAPE, dtype=torch.float64) - 0.5)


# What is found.


@every_norm
@pytest.mark.parametrize("classes", [2, 6])
def test_on_a_linear_network_the_distance_is_exact(norm, classes, middling) -> None:
    classifier, weights = planes(classes)
    labels, normals, values = functions(classifier, weights, middling)
    exact = distances(norm, normals, values).amin(dim=1)
    assert exact.max() < 0.4  # [0, 1] is never in the way
    adversarial = deepfool(classifier, middling, labels, norm=norm)
    assert fooled(classifier.logits(adversarial), labels).all()
    torch.testing.assert_close(norm.size(adversarial - middling), exact, rtol=0.001, atol=0)
    overshot = deepfool(classifier, middling, labels, norm=norm, search_steps=0)
    torch.testing.assert_close(norm.size(overshot - middling), 1.02 * exact, rtol=1e-9, atol=0)


@every_norm
def test_bounds_in_the_way_change_nothing_about_that(norm, draw) -> None:
    classifier, weights = planes(2)
    images = draw(COUNT, SHAPE)
    labels, normals, values = functions(classifier, weights, images)
    exact = norm.size(move_onto(norm, images, normals[:, 0], values[:, 0]))
    assert not torch.allclose(exact, distances(norm, normals, values).squeeze(1), rtol=0.01)
    adversarial = deepfool(classifier, images, labels, norm=norm)
    assert fooled(classifier.logits(adversarial), labels).all()
    torch.testing.assert_close(norm.size(adversarial - images), exact, rtol=0.001, atol=0)


@every_norm
def test_exactly_the_samples_nearer_than_eps_fall(norm, draw) -> None:
    classifier, weights = planes(2)
    images = draw(COUNT, SHAPE)
    labels, normals, values = functions(classifier, weights, images)
    exact = norm.size(move_onto(norm, images, normals[:, 0], values[:, 0]))
    for ratio in (0.99, 1.01):
        adversarial = deepfool(classifier, images, labels, norm=norm, eps=ratio * exact)
        assert fooled(classifier.logits(adversarial), labels).tolist() == [ratio > 1] * COUNT


@every_norm
def test_targets_are_reached(norm, middling) -> None:
    classifier, weights = planes(2)
    labels, normals, values = functions(classifier, weights, middling)
    adversarial = deepfool(classifier, middling, 1 - labels, norm=norm, targeted=True)
    assert fooled(classifier.logits(adversarial), 1 - labels, targeted=True).all()
    exact = distances(norm, normals, values).squeeze(1)
    torch.testing.assert_close(norm.size(adversarial - middling), exact, rtol=0.001, atol=0)
    classifier, _ = planes(6)
    targets = torch.arange(COUNT) % 6
    adversarial = deepfool(classifier, middling, targets, norm=norm, targeted=True)
    assert fooled(classifier.logits(adversarial), targets, targeted=True).double().mean() > 0.9


@every_norm
def test_foolbox_finds_the_same_but_for_what_it_adds(norm) -> None:
    with seeded(4):
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 5)).double()
        network[1].weight.data *= 4
    classifier = Classifier(network)
    images = 0.5 + 0.2 * (uniform(1, torch.arange(64), SHAPE, dtype=torch.float64) - 0.5)
    labels = classifier.logits(images).argmax(dim=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox
    theirs = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}[norm.name]
    model = foolbox.PyTorchModel(network.eval(), bounds=(0, 1), device="cpu")
    found = theirs()(model, images, labels, epsilons=None)[1]
    expected = norm.size(found - images)
    plain = norm.size(deepfool(classifier, images, labels, norm=norm, search_steps=0) - images)
    near = expected + 0.0002  # it adds 1e-4 to the length of a step
    assert ((plain <= near * 1.001) & (plain >= (expected - 0.0005) * 0.97)).double().mean() > 0.9
    assert plain.median() <= expected.median()
    searched = norm.size(deepfool(classifier, images, labels, norm=norm) - images)
    assert (searched < plain).all()
    assert searched.median() < 0.99 * expected.median()


def test_what_cannot_be_fooled_comes_back_and_what_is_wrong_already_stays(linear, draw) -> None:
    sure = linear(torch.ones(1, 4, 4, dtype=torch.float64), 1.0)
    images, labels = draw(6), torch.tensor([1, 1, 1, 0, 0, 0])
    assert torch.equal(deepfool(sure, images, labels, steps=3), images)
    near = deepfool(sure, images, labels, steps=3, eps=0.1)
    assert (NORMS["l2"].size(near - images)[:3] > 0.09).all()  # the best try
    assert torch.equal(near[3:], images[3:])


# What it costs.


def test_a_step_costs_two_passes_forwards_and_one_back_a_candidate(rowwise, draw) -> None:
    images = draw(20)
    labels = rowwise.logits(images).argmax(dim=1)
    labels[0] = (labels[0] + 1) % 5
    for candidates, seen in ((2, 2), (3, 3), (10, 5)):
        with rowwise.tallied(20) as tally:
            deepfool(rowwise, images, labels, num_candidates=candidates, search_steps=0)
        steps = tally.backwards // seen
        assert torch.equal(tally.backwards, seen * steps)
        assert torch.equal(tally.forwards, 1 + 2 * steps)
        assert steps[0] == 0
        assert (steps[1:] >= 1).all()
        assert steps.max() <= 8


def test_fewer_candidates_come_no_nearer(rowwise, draw) -> None:
    images = draw(64)
    labels = rowwise.logits(images).argmax(dim=1)
    sizes = [
        NORMS["l2"].size(deepfool(rowwise, images, labels, num_candidates=number) - images).mean() for number in (2, 5)
    ]
    assert sizes[1] < sizes[0]


# Against a mistake.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l1"}, "deepfool has no l1 form: choose from l2, linf"),
        ({"steps": 0}, "steps must be 1 or more and search_steps 0 or more; got 0 and 3"),
        ({"search_steps": -1}, "got 50 and -1"),
        ({"num_candidates": 1}, "num_candidates must be 2 or more, the label and one beside it; got 1"),
        ({"overshoot": 0.0}, "overshoot must be finite and above 0, or nothing is crossed; got 0.0"),
        ({"labels": torch.tensor([7, 0])}, "label 7 is out of range: the classifier has 5 classes"),
    ],
)
def test_options_are_checked(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        deepfool(rowwise, draw(2), **{"labels": torch.tensor([0, 1]), **options})
