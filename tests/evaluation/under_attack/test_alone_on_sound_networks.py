"""No attack of the table, run alone on a sound network, makes the report blame the network's gradient.

Trained plainly and adversarially, on digits and on digits in colour.
"""

from functools import cache, partial
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from advgan.models.classifiers.mlp import Mlp
from attacks import TABLE, Attack, Classifier, pgd
from attacks.random import permutation, seeded, uniform
from attacks.table import entry_of
from evaluation.record.findings import Finding
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.bound_attacks import with_options
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trials import attack_outcome
from evaluation.under_attack.trust import examined

EPS = {"linf": (0.06, 0.08), "l2": (0.5, 0.8), "l1": (1.5, 3.0), "l0": (2.0, 3.0)}
"""At which the networks keep some images: plain ones, and hardened ones."""
TRAINED = 0.06
"""In linf; at 0.1 the ones in colour learn to mask their gradient, which is found out."""
SHORT: dict[str, Any] = {"queries": 60, "kernel": 3, "search_steps": 2, "num_targets": 3, "population": 8}
FEW_STEPS = ("carlini-wagner", "ead", "fmn", "ddn", "jsma", "sigma-zero", "one-pixel", "spsa", "nes", "apgd-t")
NETWORKS = {
    "plain": (False, False),
    "hardened": (True, False),
    "colour": (False, True),
    "colour-hardened": (True, True),
}


def data(colour: bool) -> tuple[Tensor, Tensor]:
    """Digits (N, 1 or 3, 8, 8) in [0, 1], shuffled, drawn in light colours on dark ones, and their labels."""
    digits = load_digits()
    order = permutation(0, len(digits.target))
    images, labels = torch.from_numpy(digits.images).float()[order, None] / 16, torch.from_numpy(digits.target)[order]
    if colour:
        numbers = torch.arange(len(images))
        light, dark = uniform(1, numbers, (3, 1, 1)), uniform(2, numbers, (3, 1, 1))
        images = images * (0.5 + light / 2) + (1 - images) * 0.4 * dark
    return images, labels


@cache
def network(name: str) -> nn.Module:
    """Fit to the first 1,200 images, or to what PGD makes of them."""
    hardened, colour = NETWORKS[name]
    images, labels = (values[:1200] for values in data(colour))
    with seeded(0):
        body = Mlp(size=8, channels=3 if colour else 1, num_classes=10, width=64)
    optimizer = torch.optim.Adam(body.parameters(), 3e-3)
    for epoch in range(12 if hardened else 6):
        for batch in permutation(0, len(images), stream=epoch).split(64):
            inputs = images[batch]
            if hardened:
                inputs = pgd(Classifier(body), inputs, labels[batch], eps=TRAINED, steps=4, keep="last")
            loss = F.cross_entropy(body.train()(inputs), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return body.eval()


def warned(name: str, label: str, attack: Attack, count: int = 80) -> list[Finding]:
    images, labels = (values[-count:] for values in data(NETWORKS[name][1]))
    classifier = Classifier(network(name))
    clean = clean_outcome(classifier, images, labels)
    outcomes = {label: attack_outcome(classifier, images, labels, attack, clean=clean)}
    found = examined(classifier, images, labels, clean, outcomes, {label: attack}, num_probes=32).findings
    return [finding for finding in [*outcome_findings(outcomes, {label: attack}), *found] if finding.level == "warning"]


def attacks() -> list[Any]:
    """Every attack, each in one norm on one network at once, and in the others on the others where there is time."""
    cases: list[Any] = []
    for place, (name, entry) in enumerate(TABLE.items()):
        for turn, norm in enumerate(entry.norms):
            for seat, on in enumerate(NETWORKS):
                now = seat == place % 4 and turn == (0 if seat % 2 else place % len(entry.norms))
                if now or entry.aim == "budget" or seat == (place + turn) % 4:
                    marks = () if now else pytest.mark.slow
                    cases.append(pytest.param(name, norm, on, id=f"{name}-{norm}-{on}", marks=marks))
    return cases


@pytest.mark.parametrize(("name", "norm", "on"), attacks())
def test_an_attack_alone_blames_no_sound_network(name, norm, on) -> None:
    options = {"norm": norm, "eps": EPS[norm][NETWORKS[on][0]], **SHORT}
    options |= {"steps": 10} if name in FEW_STEPS else {}
    attack = with_options(TABLE[name].attack, **options)
    found = warned(on, name, attack)
    # One step is not enough, and that is all that is said of it.
    assert {finding.code for finding in found} <= ({"not-converged"} if name == "fgsm" else set()), found


@pytest.mark.parametrize("steps", [10, 20])
def test_a_loss_that_rises_until_the_budget_is_used_is_no_fault(steps) -> None:
    attack = partial(pgd, eps=0.08, steps=steps, step_size=0.08 / steps, random_start=False)
    assert warned("hardened", "pgd", attack) == []


def test_attacks_made_for_other_networks_are_not_direct() -> None:
    direct = {name for name, entry in TABLE.items() if entry.knowledge == "gradients" and entry.direct}
    assert {"fgsm", "bim", "pgd", "apgd-ce", "apgd-dlr", "apgd-t"} <= direct
    for name in ("mifgsm", "pgd-kl", "nifgsm", "difgsm", "tifgsm", "sifgsm", "vmifgsm", "si-ni-di-ti-fgsm"):
        assert not entry_of(partial(TABLE[name].attack, eps=0.1)).direct
