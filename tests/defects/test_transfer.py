"""Known defects of other tools in transfer attacks, each of which is absent here."""

import pytest
import torch
from torch import nn

from attacks import Classifier, fooled
from attacks.gradient.transfer import difgsm, tifgsm
from attacks.random import seeded, uniform


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_torchattacks_tifgsm_knows_three_channels_only(channels) -> None:
    """Its kernel is stacked three times, so that images of one channel raise an error."""
    with seeded(3):
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(channels * 36, 3)).double())
    images = uniform(1, torch.arange(8), (channels, 6, 6), dtype=torch.float64)
    labels = classifier.logits(images).argmax(dim=1)
    assert fooled(classifier.logits(tifgsm(classifier, images, labels, eps=0.5)), labels).any()


def test_torchattacks_resizes_the_whole_batch_alike() -> None:
    """It draws one size, place and decision a step for all samples, so that results depend on who else is there."""
    with seeded(3):
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(100, 3)).double())
    images = uniform(1, torch.arange(8), (1, 10, 10), dtype=torch.float64)
    labels, indices = torch.arange(8) % 3, torch.arange(8)
    whole = difgsm(classifier, images, labels, eps=0.1, smallest=0.5)
    other = difgsm(classifier, images[3:5], labels[3:5], eps=0.1, smallest=0.5, indices=indices[3:5])
    torch.testing.assert_close(other, whole[3:5], rtol=0, atol=1e-12)
    again = difgsm(classifier, images[:1].repeat(8, 1, 1, 1), labels[:1].repeat(8), eps=0.1, smallest=0.5)
    assert len(again.flatten(1).unique(dim=0)) > 1
