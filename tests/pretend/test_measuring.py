"""What is published is computed in true float32, though the device could round."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from advgan.machine.precision import is_true_float32
from advgan.machine.room import Room
from attacks import Classifier, pgd
from attacks.random import seeded, uniform
from evaluation import robustness
from evaluation.evaluating import evaluate
from evaluation.features.features import classifier_extractor
from evaluation.under_attack.attempt import attempt
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trust import examined

IMAGES = uniform(0, torch.arange(24), (1, 8, 8))
OTHERS = uniform(1, torch.arange(24), (1, 8, 8))


def network() -> nn.Module:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)
        )


def classifier(device: torch.device | str) -> Classifier:
    return Classifier(network().to(device), mean=(0.5,), std=(0.25,), name="net")


LABELS = classifier("cpu").logits(IMAGES).argmax(dim=1)
PGD = partial(pgd, eps=0.02, steps=8)


def measured(device: torch.device | str) -> list[float]:
    scores = robustness(classifier(device), IMAGES, LABELS, {"pgd": PGD})
    assert all(score.protocol.endswith("true float32 on cuda") for score in scores if device != "cpu")
    return [score.value for score in scores]


def test_an_attack_has_the_numbers_of_the_cpu(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    with with_tf32():
        assert measured(cuda) == measured("cpu")
        assert not is_true_float32()


def test_logits_are_those_of_the_cpu(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    expected = clean_outcome(classifier("cpu"), IMAGES, LABELS).logits
    with with_tf32():
        assert torch.equal(clean_outcome(classifier(cuda), IMAGES, LABELS).logits, expected)
        rounded = classifier(cuda).logits(IMAGES.to(cuda)).cpu()
    assert not torch.equal(rounded, expected), "the device rounds nothing, so this shows nothing"


def test_what_bfloat16_breaks_is_confirmed_in_float32(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    with with_tf32():
        given = (PGD, IMAGES, LABELS, torch.arange(24))
        found = attempt(classifier(cuda), *given, room=Room(24), precision="bfloat16")
    torch.testing.assert_close(found.logits, classifier("cpu").logits(found.images), rtol=0, atol=1e-6)


def test_a_sound_network_is_no_staircase(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    def codes(device: torch.device | str) -> list[str]:
        victim = classifier(device)
        clean = clean_outcome(victim, IMAGES, LABELS)
        return [finding.code for finding in examined(victim, IMAGES, LABELS, clean, {}, {}).findings]

    with with_tf32():
        assert codes(cuda) == codes("cpu")


def test_a_generator_has_the_distance_of_the_cpu(with_tf32: Callable[[], Any], cuda: torch.device) -> None:
    def distance(device: torch.device | str) -> float:
        seer = classifier_extractor(classifier(device), name="net")
        (score,) = evaluate(OTHERS, IMAGES, extractor=seer, metrics=("kid",), device=device)
        return score.value

    with with_tf32():
        assert distance(cuda) == pytest.approx(distance("cpu"), rel=1e-6)
