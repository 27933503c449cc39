import pytest
import torch
from torch import nn

from attacks import Classifier, pgd
from attacks.random import uniform
from evaluation.under_attack.classifier_findings import classifier_findings
from evaluation.under_attack.outcomes import clean_outcome


class Brightness(nn.Module):
    def forward(self, images):
        gap = 10 * (images.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-gap, gap], dim=1)


IMAGES = uniform(0, torch.arange(80), (1, 2, 2))
LABELS = (IMAGES.mean(dim=(1, 2, 3)) > 0.5).long()


def found(network, images=IMAGES, labels=LABELS, **options):
    classifier = Classifier(network, **options)
    return classifier_findings(classifier, images, labels, clean_outcome(classifier, images, labels))


def titles(*args, **options):
    return [finding.title for finding in found(*args, **options)]


def test_a_sound_classifier_raises_no_alarm():
    assert titles(Brightness()) == []
    assert titles(Brightness(), differentiable=False) == []


class Noisy(Brightness):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return super().forward(images + 0.3 * (uniform(self.calls, torch.arange(len(images)), (1, 2, 2)) - 0.5))


def test_a_random_model_is_found_out():
    assert titles(Noisy()) == ["The model is random"]


def test_dropout_that_obeys_the_mode_is_no_randomness():
    assert titles(nn.Sequential(nn.Dropout(0.5), Brightness()).train()) == []


def test_probabilities_in_place_of_logits_are_found_out():
    assert titles(nn.Sequential(Brightness(), nn.Softmax(dim=1))) == ["The model returns probabilities"]
    assert titles(nn.Sequential(Brightness(), nn.LogSoftmax(dim=1))) == ["The model returns log-probabilities"]
    assert titles(SummingToOne()) == []


class SummingToOne(Brightness):
    def forward(self, images):
        return super().forward(images) + 0.5


class Quantised(Brightness):
    def forward(self, images):
        return super().forward((images * 8).round() / 8)


@pytest.mark.parametrize("network", [Quantised(), nn.Sequential(Brightness(), nn.Hardtanh(-1e-3, 1e-3))])
def test_hidden_gradients_are_found_out(network):
    labels = network(IMAGES).argmax(dim=1)
    assert "Gradients are zero" in titles(network, labels=labels)


class Detached(Brightness):
    def forward(self, images):
        return super().forward(images.detach())


def test_cut_gradients_are_found_out():
    (finding,) = found(Detached())
    assert finding.title == "Gradients are zero"
    assert finding.evidence.startswith("64 of 64")


def test_a_gradient_that_rounds_away_is_found_out():
    def scaled(factor):
        network = nn.Sequential(Brightness(), Scaled(factor))
        return [(finding.level, finding.code) for finding in found(network)]

    assert scaled(3) == []
    assert scaled(1e5) == [("warning", "saturated-logits")]


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, logits):
        return self.factor * logits


class Rejecting(nn.Module):
    """Five levels of brightness, and a sixth class for what lies between."""

    def forward(self, images):
        levels = torch.tensor([0.3, 0.4, 0.5, 0.6, 0.7])
        answers = -100 * (images.flatten(1).mean(dim=1, keepdim=True) - levels).square()
        return torch.cat([answers, torch.full((len(images), 1), -0.1)], dim=1)


def test_a_class_that_is_no_label_is_found_out():
    images = uniform(0, torch.arange(300), (1, 2, 2))
    labels = Rejecting()(images)[:, :5].argmax(dim=1)
    assert "reject-class" in [finding.code for finding in found(Rejecting(), images=images, labels=labels)]


def test_normalised_images_are_found_out():
    (finding,) = found(Brightness(), images=IMAGES * 4 - 2, labels=(IMAGES.mean(dim=(1, 2, 3)) > 0.625).long())
    assert finding.title == "Images outside [0, 1]"


class Broken(Brightness):
    def forward(self, images):
        logits = super().forward(images)
        return torch.where(images.amax(dim=(1, 2, 3)) < 0.9, logits.T, torch.nan).T


def test_nan_is_found_out_and_counted():
    (finding, *_) = found(Broken())
    count = int((IMAGES.amax(dim=(1, 2, 3)) >= 0.9).sum())
    assert finding.title == "The model answers NaN"
    assert finding.evidence.startswith(f"{count} of 80")


def test_a_model_of_other_data_is_found_out():
    assert "The model does not know these images" in titles(Brightness(), labels=1 - LABELS)
    assert titles(Brightness(), labels=torch.zeros(80, dtype=torch.int64)) == []


class Normalised(Brightness):
    """Knows images only as (pixels - 0.5) / 0.1."""

    def forward(self, images):
        return super().forward(images * 0.1 + 0.5)


class Levels(Brightness):
    """Knows images only as levels from 0 to 255."""

    def forward(self, images):
        return super().forward(images / 255)


@pytest.mark.parametrize("network", [Normalised(), Levels()])
def test_a_forgotten_normalisation_is_found_by_trying_it(network):
    (finding,) = [one for one in found(network) if one.code == "normalisation-forgotten"]
    assert (
        f"right as they are, and {len(IMAGES)} of them with --mean" in finding.evidence
        or "--mean 0.5" in finding.evidence
    )
    mean, std = (
        options.split()[1] for options in finding.evidence.partition("with ")[2].removesuffix(".").split("--")[1:]
    )
    mended = {"mean": [float(mean)], "std": [float(std)]}
    assert "normalisation-forgotten" not in [one.code for one in found(network, **mended)]


def test_a_sound_or_a_hopeless_model_is_not_told_to_normalise():
    for network, labels in ((Brightness(), LABELS), (Brightness(), 1 - LABELS), (Normalised(), 0 * LABELS)):
        assert "normalisation-forgotten" not in [one.code for one in found(network, labels=labels)]


def test_logits_that_round_are_said_to_concern_the_attacks_of_others_alone() -> None:
    torch.manual_seed(0)

    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 1e5 * self.body(images)

    def own(classifier, images, labels, *, indices=None):
        return images

    model, images = Classifier(Large()), torch.rand(40, 1, 4, 4)
    clean = clean_outcome(model, images, model.logits(images).argmax(dim=1))
    for attacks, concerned in (({"pgd": pgd}, "none of the attacks here"), ({"a": own, "pgd": pgd}, "here a, unless")):
        found = classifier_findings(model, images, clean.labels, clean, attacks=attacks)
        (one,) = [finding for finding in found if finding.code == "saturated-logits"]
        assert concerned in one.advice
