"""Networks whose answer to an image depends on the images beside it are told apart, and stay as they were."""

import pytest
import torch
from torch import Tensor, nn

from advgan.models.classifiers.cnn import Cnn
from attacks import Classifier, pgd
from attacks.random import seeded, uniform
from evaluation.under_attack.classifier_findings import classifier_findings
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trials import attack_outcome
from evaluation.under_attack.trust import examined

COUNT = 24


class Ensemble(nn.Module):
    """Members in a plain list, which neither eval() nor parameters() reaches."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.members = {"all": members}

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * torch.stack([member(images) for member in self.members["all"]]).mean(dim=0)


class Centred(nn.Module):
    """Features minus their mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layer(images.flatten(1))
        return features - features.mean(dim=0)


def normalised(*, tracks: bool) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=tracks), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


NETWORKS = {
    "batch norm without running statistics": lambda: normalised(tracks=False).eval(),
    "members in a plain list": lambda: Ensemble([normalised(tracks=True) for _ in range(2)]).eval(),
    "features normalised over the batch": lambda: Centred().eval(),
}
ALONE = {
    "batch norm": lambda: normalised(tracks=True).eval(),
    "members in evaluation mode": lambda: Ensemble([normalised(tracks=True).eval()]).eval(),
    "rounding": lambda: nn.Sequential(Rounded(), normalised(tracks=True)).eval(),
    "a convolutional network": lambda: Cnn(size=8, channels=1, num_classes=10, hidden=16).eval(),
}


class Rounded(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (images * 6.1).round() / 6


def built(name: str) -> Classifier:
    with seeded(0):
        return Classifier({**NETWORKS, **ALONE}[name]())


def images_and_labels(classifier: Classifier) -> tuple[Tensor, Tensor]:
    images = uniform(0, torch.arange(COUNT), (1, 8, 8)).float()
    return images, classifier.logits(images).argmax(dim=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_dependence_is_the_only_finding(name):
    classifier = built(name)
    images, labels = images_and_labels(classifier)
    clean = clean_outcome(classifier, images, labels)
    (finding,) = classifier_findings(classifier, images, labels, clean)
    assert (finding.level, finding.code) == ("warning", "batch-dependent")
    assert ("plain list" in finding.evidence) == (name == "members in a plain list")
    looked = examined(classifier, images, labels, clean, {}, {})
    assert looked.findings == []
    assert looked.ledger.entries == []


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_a_network_that_answers_each_image_by_itself_is_not_accused(name, scale):
    classifier = built(name)
    images, labels = images_and_labels(classifier)
    scaled = Classifier(nn.Sequential(classifier.network, Scale(scale)))
    clean = clean_outcome(scaled, images, labels)
    assert "batch-dependent" not in {found.code for found in classifier_findings(scaled, images, labels, clean)}


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


def test_members_in_a_plain_list_stay_as_they_were():
    classifier = built("members in a plain list")
    members = classifier.network.members["all"]
    before = [{name: value.clone() for name, value in member.state_dict().items()} for member in members]
    images, labels = images_and_labels(classifier)
    clean = clean_outcome(classifier, images, labels)
    attack_outcome(
        classifier, images, labels, lambda *given, indices: pgd(*given, eps=0.1, indices=indices), clean=clean
    )
    for member, state in zip(members, before, strict=True):
        assert member.training
        assert all(torch.equal(value, state[name]) for name, value in member.state_dict().items())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in member.parameters())


def test_a_network_without_an_answer_to_one_image_is_named_with_the_way_out():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False), nn.Linear(64, 10)).eval()
    classifier = Classifier(network, name="mine")
    assert classifier.logits(torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))).shape == (2, 10)
    with pytest.raises(ValueError, match=r"mine normalises over the batch .* track_running_stats=True"):
        classifier.logits(torch.zeros(1, 1, 8, 8))
