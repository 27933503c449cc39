"""Defects of other tools' attacks for the smallest change, each of which has to be absent here."""

import pytest
import torch
from torch import Tensor, nn

from attacks import L0, L1, L2, LINF, Classifier, fooled
from attacks.minimal.carlini_wagner import carlini_wagner
from attacks.minimal.ddn import ddn
from attacks.minimal.ead import ead
from attacks.minimal.fmn import fmn
from attacks.minimal.jsma import jsma
from attacks.minimal.sigma_zero import sigma_zero
from attacks.random import seeded, uniform


class Shifted(nn.Module):
    """A network whose logits have a constant added."""

    def __init__(self, network: nn.Module, constant: float) -> None:
        super().__init__()
        self.network, self.constant = network, constant

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images) + self.constant


@pytest.fixture
def network() -> nn.Module:
    with seeded(4):
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, 3)).double()


@pytest.fixture
def images() -> Tensor:
    return uniform(3, torch.arange(16), (1, 6, 6), dtype=torch.float64)


def seen(network: nn.Module, images: Tensor) -> tuple[Classifier, Tensor]:
    classifier = Classifier(network)
    return classifier, classifier.logits(images).argmax(dim=1)


def halfspace(weight: Tensor, bias: float) -> Classifier:
    layer = nn.Linear(weight.numel(), 2, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([-weight.flatten(), weight.flatten()]) / 2)
        layer.bias.copy_(torch.tensor([-bias, bias]) / 2)
    return Classifier(nn.Sequential(nn.Flatten(), layer))


def test_foolbox_l2_fmn_never_projects() -> None:
    """There the factor is a norm divided by itself, so the result is where steps of length 1 happened to end."""
    weight = torch.linspace(1, 2, 36, dtype=torch.float64).reshape(1, 6, 6)
    images = torch.full((1, 1, 6, 6), 0.5, dtype=torch.float64)
    classifier = halfspace(weight, -(images * weight).sum().item() - 0.5)
    adversarial = fmn(classifier, images, torch.tensor([0]), norm="l2", steps=60, search_steps=0)
    assert fooled(classifier.logits(adversarial), torch.tensor([0])).all()
    assert L2.size(adversarial - images).item() == pytest.approx(0.5 / weight.norm().item(), rel=0.01)


def test_adversarial_library_l2_fmn_clamps_the_change_and_not_the_factor(network, images) -> None:
    """There clamp(max=1) is applied to the perturbation, so that a ball larger than the change inflates it."""
    classifier, labels = seen(network, images)
    sizes = L2.size(fmn(classifier, images, labels, norm="l2", steps=60) - images)
    assert sizes.median() <= L2.size(ddn(classifier, images, labels, steps=60) - images).median() * 1.01


def test_foolbox_ddn_divides_by_the_norm_of_no_change() -> None:
    """There a gradient of zero at the first step gives 0 / 0, and images of NaN."""

    class Flat(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            value = inputs.mean(dim=(1, 2, 3))
            return torch.stack([1 + 0 * value, 0 * value], dim=1)

    images, labels = torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 0])
    assert torch.equal(ddn(Classifier(Flat()), images, labels, steps=5), images)
    with_budget = ddn(Classifier(Flat()), images, labels, steps=5, eps=0.1)
    assert ((with_budget >= 0) & (with_budget <= 1)).all()


def test_foolbox_carlini_wagner_returns_a_black_image_where_nothing_was_found(network, images) -> None:
    """There the best starts as zeros, which a classifier most often takes for another class: counted as a success."""
    classifier, labels = seen(network, images)
    found = carlini_wagner(classifier, images, labels, steps=1, search_steps=1)
    assert torch.equal(found, images)
    assert torch.equal(ead(classifier, images, labels, steps=1, search_steps=1, start_weight=1e-6), images)


@pytest.mark.parametrize("constant", [-50, 50])
def test_torchattacks_cw_margin_is_wrong_for_negative_logits(constant, network, images) -> None:
    """There the other classes' logits are masked by zeros: success is 9, 0 or 100 % as logits move by 0, -50 or 50."""
    classifier, labels = seen(network, images)
    expected = carlini_wagner(classifier, images, labels, steps=100, search_steps=6)
    moved = carlini_wagner(Classifier(Shifted(network, constant)), images, labels, steps=100, search_steps=6)
    assert fooled(classifier.logits(expected), labels).all()
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("constant", [-50, 50])
def test_torchattacks_ead_masks_the_other_classes_by_zeros(constant, network, images) -> None:
    """There it is the same as in its CW."""
    classifier, labels = seen(network, images)
    moved = ead(Classifier(Shifted(network, constant)), images, labels, steps=100, search_steps=5)
    assert fooled(classifier.logits(moved), labels).all()
    torch.testing.assert_close(moved, ead(classifier, images, labels, steps=100, search_steps=5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("factor", [0.05, 20.0])
def test_torchattacks_cw_searches_no_weight(factor, network, images) -> None:
    """There one weight for all is given, and a network twenty times as bold needs another."""

    class Scaled(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return network(inputs) * factor

    classifier, labels = seen(network, images)
    plain = L2.size(carlini_wagner(classifier, images, labels, steps=80) - images)
    scaled = carlini_wagner(Classifier(Scaled()), images, labels, steps=80)
    assert fooled(classifier.logits(scaled), labels).all()
    assert L2.size(scaled - images).mean() <= plain.mean() * 1.05


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_torchattacks_cw_freezes_black_and_white_pixels(norm, network, images) -> None:
    """There atanh(±1) is infinite, so that images of black and white alone cannot be changed at all."""
    binary = images.round().float()
    classifier, labels = seen(network.float(), binary)
    adversarial = carlini_wagner(classifier, binary, labels, norm=norm, steps=1000, search_steps=8)
    assert (adversarial != binary).flatten(1).any(dim=1).all()
    assert fooled(classifier.logits(adversarial), labels).all()


def test_art_carlini_wagner_linf_loses_images_that_can_be_fooled(network, images) -> None:
    """There it fools 60 % of images where the paper's fools all."""
    classifier, labels = seen(network, images)
    adversarial = carlini_wagner(classifier, images, labels, norm="linf", steps=100)
    assert fooled(classifier.logits(adversarial), labels).all()
    assert LINF.size(adversarial - images).mean() <= 1.05 * LINF.size(fmn(classifier, images, labels) - images).mean()


def test_art_counts_a_changed_prediction_as_success_and_ignores_the_label(network, images) -> None:
    """There an image that is misclassified to begin with is attacked until it is something else, and may end right."""
    classifier, labels = seen(network, images)
    wrong = (labels + 1) % 3
    for attack in (ddn, fmn, carlini_wagner, ead, jsma, sigma_zero):
        assert torch.equal(attack(classifier, images, wrong), images)


def test_art_takes_a_size_above_eps_by_rounding_for_a_failure(images) -> None:
    """There float32 sizes are compared with eps as they are: on grid pixels a change of 8 / 255 exceeds it by 3e-8."""
    weight = torch.ones(1, 6, 6)
    grid = ((images * 100 + 100).round() / 255).float()
    for image in grid.split(1):
        classifier = halfspace(weight, -(image.sum().item() + 36 * 7.9 / 255))
        adversarial = fmn(classifier, image, torch.tensor([0]), eps=8 / 255, steps=30)
        assert fooled(classifier.logits(adversarial), torch.tensor([0])).all()
        assert LINF.size(adversarial - image) <= 8 / 255 + 1e-7


def test_l0_keeps_no_value_too_many_on_ties() -> None:
    """A threshold would keep values of equal size together, however many they are."""
    images = torch.full((1, 1, 6, 6), 0.5, dtype=torch.float64)
    classifier = halfspace(torch.ones(1, 6, 6, dtype=torch.float64), -18.0 - 1.2)  # three values, at their bounds
    for attack in (fmn, sigma_zero, jsma):
        options = {"norm": "l0"} | ({"gamma": 1.0} if attack is jsma else {"steps": 100})
        adversarial = attack(classifier, images, torch.tensor([0]), **options)
        assert fooled(classifier.logits(adversarial), torch.tensor([0])).all()
        assert L0.size(adversarial - images).item() == 3


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_torchattacks_jsma_targets_the_next_of_ten_classes(classes, images) -> None:
    """There the target is (label + 1) % 10, which three classes do not have."""
    with seeded(classes):
        network = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, classes)).double()
    classifier, labels = seen(network, images)
    assert fooled(classifier.logits(jsma(classifier, images, labels, gamma=1.0)), labels).all()
    targets = (labels + 1) % classes
    reached = fooled(
        classifier.logits(jsma(classifier, images, targets, gamma=1.0, targeted=True)), targets, targeted=True
    )
    assert reached.float().mean() > 0.8


class Once(nn.Module):
    """Fools in a narrow band of brightness only, through which an attack passes on its way."""

    def forward(self, images: Tensor) -> Tensor:
        value = images.mean(dim=(1, 2, 3))
        inside = (value > 0.6) & (value < 0.85)
        return torch.stack([torch.zeros_like(value), torch.where(inside, value, (value - 0.7).clamp(max=-0.01))], dim=1)


@pytest.mark.parametrize("attack", [ddn, fmn])
def test_the_best_is_kept_where_it_is_not_the_last(attack) -> None:
    """The last iterate need not fool."""
    images, labels = torch.full((1, 1, 4, 4), 0.55, dtype=torch.float64), torch.tensor([0])
    for steps in range(2, 12):
        adversarial = attack(Classifier(Once()), images, labels, steps=steps)
        assert fooled(Classifier(Once()).logits(adversarial), labels).all()


def test_no_value_is_changed_that_is_not_needed(network, images) -> None:
    """One value of the last pair may do; the noise of an l1 attack would count as changes."""
    classifier, labels = seen(network, images)
    adversarial = jsma(classifier, images, labels, gamma=1.0)
    whole = jsma(classifier, images, labels, gamma=1.0, search_steps=0)
    assert L0.size(adversarial - images).sum() < L0.size(whole - images).sum()
    assert L1.size(adversarial - images).sum() < L1.size(whole - images).sum()
