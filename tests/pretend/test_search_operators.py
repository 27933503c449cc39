"""How many operators, about as many kernels, a step of an attack dispatches: who adds some has to change the table.

The network itself has 9 of them in a forward and a backward pass, 4 forwards alone.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from attacks import Classifier
from attacks.random import uniform
from attacks.table import ATTACKS


@pytest.mark.parametrize(
    ("attack", "options", "most"),
    [
        ("fab-t", {"num_targets": 1}, 118),
        ("fab-t", {"num_targets": 1, "norm": "l2"}, 122),
        ("fab-t", {"num_targets": 1, "norm": "l1"}, 106),
        ("fab", {}, 178),
        ("fmn", {}, 160),
        ("square", {}, 47),
        ("square", {"norm": "l2"}, 105),
        ("square", {"norm": "l1"}, 172),
    ],
)
def test_a_step_dispatches_no_more_operators_than_the_table_says(
    attack: str, options: dict[str, Any], most: int, cuda: torch.device, watch: Callable[..., Any]
) -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    classifier = Classifier(network).to(cuda)
    images = uniform(0, torch.arange(8), (1, 12, 12)).to(cuda)
    labels = classifier.logits(images).argmax(dim=1)
    counter = "queries" if attack == "square" else "steps"
    found = []
    for steps in (32, 64):
        with watch() as seen:
            ATTACKS[attack](classifier, images, labels, eps=1e-6, **options, **{counter: steps})
        found.append(seen.num_operators)
    assert (found[1] - found[0]) / 32 <= most
