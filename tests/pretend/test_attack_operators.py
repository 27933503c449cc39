"""What a step of an attack launches beside the network's own pass. These numbers may fall; they rise with a reason."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier
from attacks.gradient.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient.pgd import kl_pgd, mifgsm, pgd
from attacks.gradient.transfer import combined, transfer
from attacks.random import uniform

NETWORK = 6  # forward: flatten is a view; two products, a relu. Backward: a product for each, a threshold, a transpose
MOST: dict[str, tuple[Callable[..., Tensor], str, int]] = {
    "pgd": (pgd, "linf", 30),
    "pgd l2": (pgd, "l2", 60),
    "pgd last": (partial(pgd, keep="last"), "linf", 25),
    "pgd best": (partial(pgd, keep="best"), "linf", 43),
    "mifgsm": (mifgsm, "linf", 39),
    "kl_pgd": (kl_pgd, "linf", 36),  # of them 15 on (N, classes) keep digits that float32 rounds away
    "apgd_ce": (apgd_ce, "linf", 50),
    "apgd_ce l2": (apgd_ce, "l2", 75),
    "apgd_dlr": (apgd_dlr, "linf", 60),
    "transfer": (transfer, "linf", 47),
    "combined": (partial(combined, scales=2), "linf", 290),
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


def test_a_batch_that_gets_smaller_shows_the_device_few_sizes(cuda: torch.device) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    images, found = uniform(0, torch.arange(64), (1, 8, 8)), []
    for device in (torch.device("cpu"), cuda):
        classifier = Classifier(network.to(device))
        labels = classifier.logits(images.to(device)).argmax(dim=1)
        sizes.clear()
        found.append(pgd(classifier, images.to(device), labels, eps=0.3, steps=60, step_size=0.005).cpu())
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    assert len(set(sizes)) <= 11
