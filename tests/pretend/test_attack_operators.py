"""What a step of an attack launches beside the network's own pass. These numbers may fall; they rise with a reason."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from attacks import Classifier
from attacks.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient import kl_pgd, mifgsm, pgd
from attacks.random import uniform

NETWORK = 6  # forward: flatten is a view; two products, a relu. Backward: a product for each, a threshold, a transpose
MOST = {
    "pgd": (pgd, "linf", 30),
    "pgd l2": (pgd, "l2", 60),
    "pgd last": (partial(pgd, keep="last"), "linf", 25),
    "pgd best": (partial(pgd, keep="best"), "linf", 43),
    "mifgsm": (mifgsm, "linf", 39),
    "kl_pgd": (kl_pgd, "linf", 21),
    "apgd_ce": (apgd_ce, "linf", 50),
    "apgd_ce l2": (apgd_ce, "l2", 75),
    "apgd_dlr": (apgd_dlr, "linf", 60),
    "apgd_t": (partial(apgd_t, num_targets=1), "linf", 60),
}


@pytest.mark.parametrize("name", MOST)
def test_a_step_launches_little_beside_the_network(name: str, cuda: torch.device, watch: Callable[..., Any]) -> None:
    attack, norm, most = MOST[name]
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    classifier = Classifier(network).to(cuda)
    images = uniform(0, torch.arange(8), (1, 8, 8)).to(cuda)
    labels = classifier.logits(images).argmax(dim=1)

    def operators(steps: int) -> int:
        with watch() as seen:
            attack(classifier, images, labels, eps=1e-6, norm=norm, steps=steps)
        return int(seen.num_operators)

    step = (operators(45) - operators(25)) / 20
    assert step - NETWORK <= most
