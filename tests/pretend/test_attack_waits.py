"""An attack waits for the device once before it begins, and in its loop only to count who stays."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.classifier.training import start, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from attacks import Classifier
from attacks.gradient.apgd import apgd_ce, apgd_t
from attacks.gradient.pgd import fgsm, kl_pgd, mifgsm, pgd
from attacks.gradient.transfer import transfer
from attacks.noise import uniform_noise
from attacks.random import uniform
from attacks.samples import trusted

Watch = Callable[..., Any]
Given = tuple[Classifier, Tensor, Tensor]


@pytest.fixture
def given(cuda: torch.device) -> Given:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    images = uniform(0, torch.arange(8), (1, 8, 8))
    classifier = Classifier(network).to(cuda)
    return classifier, images.to(cuda), classifier.logits(images.to(cuda)).argmax(dim=1)


@pytest.mark.parametrize(
    ("attack", "waits"),
    [
        (fgsm, 1),
        (uniform_noise, 1),
        (partial(pgd, steps=5, keep="last"), 1),
        (partial(pgd, steps=5, keep="best"), 1),
        (partial(pgd, steps=5), 1 + 5),
        (partial(mifgsm, steps=5, step_size=1e-6), 1),
        (partial(kl_pgd, steps=5), 1),
        (partial(transfer, steps=5), 1),
        (partial(apgd_ce, steps=5), 1 + 5 + 2),  # who is open before the round, and after it
        (partial(apgd_t, steps=5, num_targets=1), 1 + 5 + 2),
    ],
)
@pytest.mark.parametrize("each", [False, True])
def test_all_checks_are_one_download(
    attack: Callable[..., Tensor], waits: int, each: bool, given: Given, watch: Watch
) -> None:
    _, images, _ = given
    with watch() as seen:
        attack(*given, eps=images.new_full((8,), 1e-6) if each else 1e-6)
    assert seen.num_waits == waits, seen.text()
    assert {kind for kind, _, _ in seen.waits} <= {"download", "shape"}, seen.text()


def test_a_trusted_attack_waits_for_nothing(given: Given, watch: Watch) -> None:
    with watch() as seen, trusted():
        pgd(*given, eps=0.1, steps=5, keep="last")
    assert seen.num_waits == 0, seen.text()


@pytest.mark.parametrize("name", ["none", "fgsm", "pgd"])
def test_a_step_of_fit_waits_for_nothing(name: str, cuda: torch.device, watch: Watch) -> None:
    pixels = (uniform(1, torch.arange(96), (1, 8, 8)) * 255).to(torch.uint8)
    data = ImageSet(pixels, torch.arange(96) % 3, ("a", "b", "c"), "noise")
    defense = {"name": name} if name == "none" else {"name": name, "eps": 0.1}
    training = ClassifierTraining.model_validate({"epochs": 2, "batch_size": 16, "defense": defense})
    steps = train(start(NetworkConfig(), training, data, device=cuda), data, training)
    list(islice(steps, 2))  # the data are moved, the optimiser makes its moments
    with watch() as seen:
        list(islice(steps, 3))
    assert seen.num_waits == 0, seen.text()
