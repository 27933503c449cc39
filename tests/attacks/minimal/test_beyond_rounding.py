"""A success is one at a second look too: in float32 the same image has other last digits in another batch."""

import inspect
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import TABLE, Classifier, fooled
from attacks.objectives import margin
from attacks.random import seeded, uniform

SHORT = {"steps": 20, "queries": 200}
CASES = [
    (name, norm)
    for name, entry in TABLE.items()
    if entry.aim == "minimal" and name not in ("boundary", "signopt")
    for norm in entry.norms
]


class Odds(nn.Module):
    """A network of one output as two logits, both of which are 0 at the boundary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        odds = self.network(images)[:, :1] - self.network(images)[:, 1:2]
        return torch.cat([odds, -odds], dim=1)


@cache
def subject(classes: int) -> tuple[Classifier, Tensor, Tensor]:
    with seeded(0):
        first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, stride=2)
        network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    classifier = Classifier(network if classes > 2 else Odds(network), mean=(0.13,), std=(0.31,))
    images = uniform(1, torch.arange(40), (1, 8, 8))
    return classifier, images, classifier.logits(images).argmax(dim=1)


@pytest.mark.parametrize("classes", [5, 2])
@pytest.mark.parametrize(("name", "norm"), CASES)
def test_what_was_found_is_found_again_in_other_batches(name, norm, classes) -> None:
    classifier, images, labels = subject(classes)
    known = inspect.signature(TABLE[name].attack).parameters
    options: dict[str, Any] = {key: value for key, value in SHORT.items() if key in known}
    found = TABLE[name].attack(classifier, images, labels, norm=norm, **options)
    together = classifier.logits(found)
    success = fooled(together, labels)
    alone = torch.cat([classifier.logits(one[None]) for one in found])
    assert success.double().mean() > 0.5
    assert bool((fooled(alone, labels) | ~success).all())
    if TABLE[name].knowledge == "gradients":
        rounding = (together - alone).abs().max()
        assert (
            margin(together, labels)[success] > rounding
        ).double().mean() > 0.95  # one is 0.0006 from the other class
