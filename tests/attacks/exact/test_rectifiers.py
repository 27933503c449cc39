"""Attacks on networks of rectifiers, against the smallest change that there is: none is below it, and few far above."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from attacks import NORMS, Classifier, fooled
from attacks.random import uniform
from attacks.table import TABLE
from evaluation.jobs.attack.job import AttackConfig
from evaluation.under_attack.trials import cascade

COUNT = 8


class Case(NamedTuple):
    classifier: Classifier
    images: Tensor
    labels: Tensor
    smallest: Tensor


@pytest.fixture(scope="module", params=["linf", "l1"])
def norm(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def cases(norm, exact, rectified_networks) -> list[Case]:
    found = []
    for seed, classifier in enumerate(rectified_networks):
        images = uniform(seed, torch.arange(COUNT), (1, 2, 3), dtype=torch.float64)
        labels = classifier.logits(images).argmax(dim=1)
        found.append(Case(classifier, images, labels, exact(classifier, images, labels, norm)))
    return found


@pytest.mark.parametrize(("name", "near"), [("fmn", 0.6), ("fab", 0.6), ("fab-t", 0.6), ("deepfool", 0.25)])
def test_minimal_attacks_find_the_smallest_change(name, near, norm, cases) -> None:
    """`near`: the share of the images on which the attack comes within a twentieth.

    Changes here are as large as the pixels' range, over many kinks; on real networks attacks have it easier.
    """
    entry = TABLE[name]
    if norm not in entry.norms:
        pytest.skip(f"{name} has no {norm}")
    sizes, smallest = [], []
    for case in cases:
        adversarial = entry.attack(case.classifier, case.images, case.labels, norm=norm)
        size = NORMS[norm].size(adversarial - case.images)
        won = fooled(case.classifier.logits(adversarial), case.labels)
        sizes.append(torch.where(won, size, torch.inf))
        smallest.append(case.smallest)
    found, best = torch.cat(sizes), torch.cat(smallest)
    assert (found >= best * (1 - 1e-6) - 1e-9).all()
    assert (found <= best * 1.05 + 1e-6).double().mean() >= near


@pytest.mark.parametrize("suite", [pytest.param("standard", marks=pytest.mark.slow), "quick"])
def test_suites_leave_what_no_change_can_break(suite, norm, cases) -> None:
    """At a budget between those of the images, nothing outside reach is broken, and most of what is within it."""
    if norm == "l1" and suite == "standard":
        suite = "standard-l1"
    chosen = resolve(AttackConfig, file=preset_file("attack", suite), overrides={"norm": norm})
    total, missed = 0, 0
    for case in cases:
        eps = float(case.smallest[case.smallest.isfinite()].median()) * 1.02
        attacks = {trial.name: partial(trial.attack, eps=eps) for trial in chosen.trials(1)}
        outcomes = cascade(case.classifier, case.images, case.labels, attacks)
        robust = next(reversed(outcomes.values())).robust
        within = case.smallest <= eps * (1 - 1e-4)
        assert robust[case.smallest > eps * (1 + 1e-4)].all()
        total, missed = total + int(within.sum()), missed + int((robust & within).sum())
    assert missed <= total / 3
