"""The attacks for the smallest change beside foolbox's at equal steps, where foolbox's are right.

Not FMN in l2, which there never projects; `tests/defects/test_minimal.py` shows it.
"""

import warnings
from collections.abc import Iterator
from functools import partial
from types import ModuleType

import pytest
from torch import nn

from attacks import NORMS, Classifier, fooled
from attacks.minimal.carlini_wagner import carlini_wagner
from attacks.minimal.ddn import ddn
from attacks.minimal.ead import ead
from attacks.minimal.fmn import fmn
from attacks.random import seeded

STEPS = {"steps": 40}
WEIGHTED = {"steps": 60, "binary_search_steps": 6}
CASES = {
    "ddn": ("l2", partial(ddn, **STEPS), "DDNAttack", STEPS),
    "fmn-linf": ("linf", partial(fmn, **STEPS), "LInfFMNAttack", STEPS),
    "fmn-l1": ("l1", partial(fmn, norm="l1", **STEPS), "L1FMNAttack", STEPS),
    "fmn-l0": ("l0", partial(fmn, norm="l0", **STEPS), "L0FMNAttack", STEPS),
    "carlini-wagner": ("l2", partial(carlini_wagner, steps=60, search_steps=6), "L2CarliniWagnerAttack", WEIGHTED),
    "ead": ("l1", partial(ead, steps=60, search_steps=6), "EADAttack", {**WEIGHTED, "decision_rule": "L1"}),
}


@pytest.fixture(scope="module")
def foolbox() -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

        yield foolbox


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_it_is_at_least_as_strong_as_foolbox_at_equal_steps(name, targeted, foolbox, draw) -> None:
    norm, attack, peer, options = CASES[name]
    with seeded(2):
        network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 4)).eval()
    classifier, images = Classifier(network, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)), draw(12, (3, 8, 8)).float()
    labels = (classifier.logits(images).argmax(dim=1) + targeted) % 4
    criterion = foolbox.criteria.TargetedMisclassification(labels) if targeted else labels

    with classifier.frozen():
        model = foolbox.PyTorchModel(classifier.eval(), bounds=(0, 1), device="cpu")
        _, theirs, _ = getattr(foolbox.attacks, peer)(**options)(model, images, criterion, epsilons=None)
    ours = attack(classifier, images, labels, targeted=targeted)

    success, theirs_too = (fooled(classifier.logits(x), labels, targeted=targeted) for x in (ours, theirs))
    assert success.all()
    sizes, theirs_sizes = (NORMS[norm].size(x - images)[theirs_too] for x in (ours, theirs))
    assert theirs_too.sum() > 6
    assert sizes.mean() <= theirs_sizes.mean() * 1.01, (sizes / theirs_sizes).mean()
