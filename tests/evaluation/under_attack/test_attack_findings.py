from functools import partial

import pytest
import torch
from torch import nn

from attacks import TABLE, Classifier, bim, fgsm, gaussian_noise, pgd, uniform_noise
from attacks.random import uniform
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.trials import attack_outcome


class Brightness(nn.Module):
    def __init__(self, threshold=0.5):
        super().__init__()
        self.threshold = threshold

    def forward(self, images):
        gap = 10 * (images.flatten(1).mean(dim=1) - self.threshold)
        return torch.stack([-gap, gap], dim=1)


class Masked(Brightness):
    """The class of `Brightness`, with a gradient that points the wrong way."""

    def forward(self, images):
        return super().forward(2 * images.detach() - images)


IMAGES = uniform(0, torch.arange(3000), (1, 2, 2))


def findings(attacks, *, network=None, images=IMAGES):
    network = network or Brightness()
    classifier, labels = Classifier(network), network(images).argmax(dim=1)
    outcomes = {name: attack_outcome(classifier, images, labels, attack) for name, attack in attacks.items()}
    return outcome_findings(outcomes, attacks)


def found(attacks, **options):
    return [finding.title for finding in findings(attacks, **options)]


def test_sound_attacks_raise_no_alarm():
    attacks = {
        "uniform": partial(uniform_noise, eps=0.1),
        "gaussian": partial(gaussian_noise, eps=0.1),
        "fgsm-small": partial(fgsm, eps=0.05),
        "fgsm": partial(fgsm, eps=0.1),
        "pgd": partial(pgd, eps=0.1, steps=3),
    }
    assert found(attacks) == []


def test_few_images_are_said_to_be_few():
    attacks = {"fgsm": partial(fgsm, eps=0.1)}
    assert found(attacks, images=IMAGES[:100]) == ["Few images"]


def climb(classifier, images, labels, *, eps, indices=None):
    """An attack that overshoots: beyond 0.1 it goes back to where it was."""
    return fgsm(classifier, images, labels, eps=eps if eps <= 0.1 else 0.01)


def test_a_larger_budget_that_breaks_less_is_an_alarm():
    small, large = partial(climb, eps=0.1), partial(climb, eps=0.2)
    assert found({"small": small, "large": large}) == ["large is weaker than small"]
    assert found({"large": large, "small": small}) == ["large is weaker than small"]


def test_attacks_that_differ_in_more_than_the_budget_are_not_compared():
    strong = partial(fgsm, eps=0.1)
    assert found({"strong": strong, "other": partial(climb, eps=0.15)}) == []
    assert found({"strong": strong, "in l2": partial(fgsm, eps=0.11, norm="l2")}) == []


def test_noise_as_strong_as_a_gradient_attack_is_an_alarm():
    attacks = {"uniform": partial(uniform_noise, eps=0.2), "pgd": partial(pgd, eps=0.2, steps=2, random_start=False)}
    assert found(attacks, network=Masked()) == ["Noise is as strong as pgd"]


@pytest.mark.parametrize("options", [{"eps": 0.1}, {"eps": 0.2, "norm": "l2"}])
def test_noise_of_another_size_is_not_compared(options):
    attacks = {"uniform": partial(uniform_noise, eps=0.2), "fgsm": partial(fgsm, **options)}
    assert found(attacks, network=Masked()) == []


def test_an_attack_that_leaves_the_box_is_an_alarm():
    def bright(classifier, images, labels, *, indices=None):
        return images + 0.5

    assert found({"bright": bright}) == ["bright leaves [0, 1]"]


class Fragile(Brightness):
    def forward(self, images):
        return torch.where(images.amax(dim=(1, 2, 3)) < 1, super().forward(images).T, torch.nan).T


def white(classifier, images, labels, *, indices=None):
    return torch.ones_like(images)


def test_an_attack_that_breaks_the_numbers_is_an_alarm():
    (finding,) = findings({"white": white}, network=Fragile())
    assert (finding.code, finding.title) == ("attack-answers-nan", "white makes the model answer NaN")


def test_damage_that_rounding_undoes_is_said():
    """All images lie one grey level above the boundary; the attack goes a fifth of a level below it."""
    images = torch.full((3000, 1, 2, 2), 129 / 255)

    def slightly(classifier, images, labels, *, indices=None):
        return torch.full_like(images, 127.6 / 255)

    titles = found({"slightly": slightly}, network=Brightness(127.8 / 255), images=images)
    assert titles == ["Rounding to 8 bits undoes part of slightly"]


def test_knowledge_that_does_not_help_is_an_alarm():
    attacks = {
        "square": partial(TABLE["square"].attack, eps=0.2, queries=30),
        "pgd": partial(pgd, eps=0.2, steps=3, random_start=False),
    }
    assert "square beats the gradient attacks" in found(attacks, network=Masked())
    assert "square beats the gradient attacks" not in found(attacks)


def test_one_step_that_beats_many_is_an_alarm():
    """Steps of a millionth get nowhere."""
    attacks = {"fgsm": partial(fgsm, eps=0.1), "pgd": partial(bim, eps=0.1, steps=3, step_size=1e-6)}
    assert found(attacks) == ["fgsm beats pgd"]


class Rejecting(Brightness):
    """Five levels of brightness, and a sixth class for images that are nearly uniform."""

    def forward(self, images):
        level = images.flatten(1).mean(dim=1, keepdim=True)
        even = 10 - 1000 * images.flatten(1).var(dim=1, keepdim=True)
        return torch.cat([-100 * (level - torch.linspace(0.3, 0.7, 5)).square(), even], dim=1)


def test_a_class_that_means_rejection_is_an_alarm():
    def flatten(classifier, images, labels, *, indices=None):
        return images.mean(dim=(1, 2, 3), keepdim=True).expand_as(images).clone()

    images = IMAGES[Rejecting()(IMAGES).argmax(dim=1) < 5]
    assert found({"flatten": flatten}, network=Rejecting(), images=images) == [
        "flatten ends in what looks like a rejection"
    ]
