"""What other implementations of DeepFool and SparseFool get wrong or waste."""

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, fooled
from attacks.minimal.deepfool import DEEPFOOL_NORMS, deepfool
from attacks.minimal.sparsefool import sparsefool
from attacks.random import seeded, uniform


class Counting(nn.Module):
    """A small network that counts its calls, however many images they carry."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        with seeded(3):
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, classes)).double()
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.layers(images)


@pytest.fixture
def network() -> Counting:
    return Counting()


@pytest.fixture
def images() -> Tensor:
    return uniform(2, torch.arange(48), (1, 4, 4), dtype=torch.float64)


@pytest.fixture
def labels(network, images) -> Tensor:
    return network(images).argmax(dim=1)


def calls(attack, network: Counting, images: Tensor, labels: Tensor, **options) -> int:
    network.calls = 0
    attack(Classifier(network), images, labels, **options)
    return network.calls


def test_torchattacks_deepfool_takes_image_after_image(network, images, labels) -> None:
    """There a loop calls the network for one image at a time: CIFAR-100 did not end in twenty hours."""
    for norm in DEEPFOOL_NORMS:
        alone = [calls(deepfool, network, images[k : k + 1], labels[k : k + 1], norm=norm) for k in range(48)]
        assert calls(deepfool, network, images, labels, norm=norm) == max(alone)


def test_torchattacks_sparsefool_takes_image_after_image(network, images, labels) -> None:
    """There each image runs a DeepFool of its own, pixel by pixel on the host."""
    alone = [calls(sparsefool, network, images[k : k + 1], labels[k : k + 1]) for k in range(0, 48, 6)]
    assert calls(sparsefool, network, images, labels) < 0.25 * 6 * sum(alone)


def test_foolbox_deepfool_passes_forwards_once_a_class(images) -> None:
    """There each candidate has a forward pass of its own, for want of several backward passes through one."""
    forwards = []
    for classes in (4, 40):
        classifier = Classifier(Counting(classes))
        labels = classifier.logits(images).argmax(dim=1)
        with classifier.tallied(48) as tally:
            deepfool(classifier, images, labels, num_candidates=classes, steps=1, search_steps=0)
        assert tally.backwards.tolist() == [classes] * 48
        forwards.append(tally.forwards.tolist())
    assert forwards[0] == forwards[1] == [3] * 48


def test_foolbox_deepfool_goes_on_with_images_that_fool_already(network, images, labels) -> None:
    """There the whole batch is passed, forwards and backwards, until its last image fools."""
    labels[::2] = (labels[::2] + 1) % 5
    classifier = Classifier(network)
    with classifier.tallied(48) as tally:
        adversarial = deepfool(classifier, images, labels, search_steps=0)
    assert tally.forwards[::2].tolist() == [1] * 24
    assert tally.backwards[::2].tolist() == [0] * 24
    assert torch.equal(adversarial[::2], images[::2])
    assert len(tally.forwards[1::2].unique()) > 1  # each as long as it needs


def test_foolbox_deepfool_leaves_the_class_that_the_network_sees_whatever_the_label(network, images, labels) -> None:
    """There the steps lead away from the largest logit, so that a target or a label of another class is nothing."""
    targets = (labels + 1) % 5
    classifier = Classifier(network)
    reached = deepfool(classifier, images, targets, targeted=True)
    assert fooled(classifier.logits(reached), targets, targeted=True).double().mean() > 0.8


def test_foolbox_deepfool_reports_a_change_with_its_overshoot(network, images, labels) -> None:
    """There the smallest change found is reported with the 2 % that were added to cross the boundary."""
    classifier = Classifier(network)
    adversarial = deepfool(classifier, images, labels)
    assert fooled(classifier.logits(adversarial), labels).all()
    shorter = images + 0.995 * (adversarial - images)
    assert fooled(classifier.logits(shorter), labels).double().mean() < 0.05


@pytest.mark.parametrize("attack", [deepfool, sparsefool])
def test_torchattacks_deepfool_divides_by_a_gradient_of_zero(attack, images) -> None:
    """There a flat network gives 0 / 0, and the image becomes NaN."""

    class Flat(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.flatten(1)[:, :3] * 0

    zeros = torch.zeros(48, dtype=torch.int64)
    assert torch.equal(attack(Classifier(Flat()), images, zeros, steps=3), images)
    assert attack(Classifier(Flat()), images, zeros, steps=3, eps=0.1).isfinite().all()
