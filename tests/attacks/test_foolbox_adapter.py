"""Foolbox's attacks under our contract."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, Classifier, fooled
from attacks.foolbox import foolbox_attack, foolbox_entry, foolbox_names, refusals
from attacks.gradient.pgd import bim
from attacks.random import seeded

SMALL = {"steps": 3, "num_rotations": 2, "num_translations": 2, "repeats": 2, "directions": 5, "binary_search_steps": 2}
OWN = {
    "L1FMNAttack": {"steps": 30},
    "LInfFMNAttack": {"steps": 30},
    "HopSkipJumpAttack": {"steps": 1, "initial_gradient_eval_steps": 3},
    "GenAttack": {"steps": 1, "population": 4},
}
RUNNABLE = [name for name in foolbox_names() if "Brendel" not in name]  # those need numba


def bound(name: str) -> dict[str, object]:
    known = inspect.signature(foolbox_attack(name)).parameters
    return {key: value for key, value in (SMALL | OWN.get(name, {})).items() if key in known}


@pytest.fixture
def images(draw) -> Tensor:
    return draw(4, (3, 8, 8)).float()


@pytest.fixture
def classifier() -> Classifier:
    """Four classes, float32 as foolbox expects, normalised inside, in training mode."""
    with seeded(2):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 4))
    return Classifier(network, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture
def labels(classifier, images) -> Tensor:
    """What the classifier sees, but for the first, which is wrong."""
    labels = classifier.logits(images).argmax(dim=1)
    labels[0] = (labels[0] + 1) % 4
    return labels


def test_importing_the_attacks_does_not_import_foolbox() -> None:
    command = "import sys, attacks; assert 'foolbox' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True)


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_contract_holds_for_every_attack_of_foolbox(name, classifier, images, labels) -> None:
    entry = foolbox_entry(name)
    targeted = name == "GenAttack"
    wanted = (labels + 1) % 4 if targeted else labels
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    eps = torch.tensor([0.5, 0.5, 0.0, 0.2]) * (1 if "linf" in entry.norms else 10) if entry.norms else None
    was_fooled = fooled(classifier.logits(images), wanted, targeted=targeted)
    passes = classifier.passes.forwards, classifier.passes.backwards

    with classifier.tallied(4) as tally:
        adversarial = entry.attack(classifier, images, wanted, eps=eps, targeted=targeted, **bound(name))

    assert (adversarial.dtype, adversarial.shape) == (images.dtype, images.shape)
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert not adversarial.requires_grad
    assert torch.equal(adversarial[was_fooled], images[was_fooled])
    if eps is not None:
        assert (NORMS[entry.norms[0]].size(adversarial - images) <= eps * (1 + 1e-5) + 1e-6).all()
        assert torch.equal(adversarial[2], images[2])
    if entry.norms != ("l0",):  # three steps find nothing there
        assert not torch.equal(adversarial, images)
    spent = classifier.passes.forwards - passes[0], classifier.passes.backwards - passes[1]
    assert (tally.forwards.sum(), tally.backwards.sum()) == spent
    assert (spent[1] > 0) == (entry.knowledge == "gradients")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert classifier.training
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


@pytest.mark.parametrize("name", ["LinfDeepFoolAttack", "SaltAndPepperNoiseAttack", "PointwiseAttack"])
def test_without_eps_the_result_fools_or_is_the_image(name, classifier, images, labels) -> None:
    adversarial = foolbox_attack(name)(classifier, images, labels, **({"steps": 20} if "Point" not in name else {}))
    unchanged = (adversarial == images).flatten(1).all(dim=1)
    assert (fooled(classifier.logits(adversarial), labels) | unchanged).all()
    assert (~unchanged).sum() == 3


def test_a_result_is_what_foolbox_computes(classifier, images, labels) -> None:
    """Its BIM equals ours, the budgets one a sample, and the first sample left out."""
    eps = torch.tensor([0.1, 0.2, 0.3, 0.2])
    theirs = foolbox_attack("foolbox:LinfBasicIterativeAttack")(
        classifier, images, labels, eps=eps, steps=4, rel_stepsize=0.3
    )
    ours = bim(classifier, images, labels, eps=eps, steps=4, step_size=0.3 * eps, keep="last")
    assert torch.equal(theirs[0], images[0])
    torch.testing.assert_close(theirs[1:], ours[1:], rtol=0, atol=1e-6)


def test_the_same_seed_and_indices_give_the_same_result(classifier, images, labels) -> None:
    attack = foolbox_attack("LinfAdditiveUniformNoiseAttack")
    runs = [
        attack(classifier, images, labels, eps=0.1, seed=seed, indices=torch.arange(first, first + 4))
        for seed, first in ((1, 0), (1, 0), (2, 0), (1, 9))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0], runs[3])


def test_the_facts_of_an_attack_are_those_of_its_class() -> None:
    facts = {name: foolbox_entry(name)[1:4] for name in foolbox_names()}
    assert facts["LinfDeepFoolAttack"] == (("linf",), "gradients", "minimal")
    assert facts["HopSkipJumpAttack"] == (("l2", "linf"), "decisions", "minimal")
    assert facts["GenAttack"] == (("linf",), "scores", "budget")
    assert facts["L2AdditiveGaussianNoiseAttack"] == (("l2",), "decisions", "budget")
    assert facts["SpatialAttack"] == ((), "decisions", "free")
    assert facts["InversionAttack"][0][0] == "l2"
    assert {"linf", "l1"} < set(facts["InversionAttack"][0])


def test_the_norm_of_a_flexible_attack_is_the_callers(classifier, images, labels) -> None:
    for norm in ("linf", "l2", "l1"):
        attack = foolbox_attack("InversionAttack")
        size = NORMS[norm].size(attack(classifier, images, labels, eps=0.2, norm=norm) - images)
        torch.testing.assert_close(size[1:], torch.full((3,), 0.2), rtol=1e-4, atol=1e-5)


def test_options_are_arguments_of_the_class() -> None:
    parameters = inspect.signature(foolbox_attack("LinfDeepFoolAttack")).parameters
    assert list(parameters)[:3] == ["classifier", "images", "labels"]
    assert {"eps", "norm", "targeted", "seed", "steps", "overshoot"} < parameters.keys()
    assert parameters["overshoot"].default == 0.02
    assert "init_attack" not in inspect.signature(foolbox_attack("BoundaryAttack")).parameters


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("LinfDeepFoolAttack", {"step": 3}, "has no option step: choose from steps, candidates, overshoot, loss"),
        ("InversionAttack", {"steps": 3}, "foolbox:InversionAttack has no option steps: choose from none"),
        ("VirtualAdversarialAttack", {}, "foolbox:VirtualAdversarialAttack needs steps"),
        ("LinfDeepFoolAttack", {"norm": "l2"}, "LinfDeepFoolAttack has no form for l2: choose from linf"),
        ("GenAttack", {"targeted": True}, "GenAttack needs an eps: it looks for no smallest change"),
        ("GenAttack", {"eps": 0.1}, "GenAttack has no such form: it needs targeted=True"),
        ("NewtonFoolAttack", {"targeted": True}, "NewtonFoolAttack has no such form: leave out targeted"),
        ("SpatialAttack", {"eps": 0.1}, "SpatialAttack has no norm: leave out eps"),
        ("LinfFastGradientAttack", {"eps": 8}, "eps=8 exceeds the whole pixel range"),
    ],
)
def test_what_an_attack_cannot_do_is_said_in_one_line(name, options, message, classifier, images, labels) -> None:
    with pytest.raises(ValueError, match=message):
        foolbox_attack(name)(classifier, images, labels, **options)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match="unknown attack foolbox:LinfDeepFool: did you mean foolbox:LinfDeepFoolAttack"
    ):
        foolbox_attack("foolbox:LinfDeepFool")


def test_names_are_classes_that_are_not_refused() -> None:
    names = foolbox_names()
    assert {"L2BrendelBethgeAttack", "NewtonFoolAttack", "VirtualAdversarialAttack", "LinfDeepFoolAttack"} < set(names)
    assert not refusals().keys() & set(names)
    assert not {"FGSM", "PGD", "Attack", "BrendelBethgeAttack"} & set(names)


@pytest.mark.parametrize("name", ["L2BrendelBethgeAttack"])
def test_a_missing_numba_is_named(name, classifier, images, labels, monkeypatch) -> None:
    monkeypatch.setattr("foolbox.attacks.brendel_bethge.NUMBA_IMPORT_ERROR", ImportError("numba"))
    with pytest.raises(ValueError, match="foolbox:L2BrendelBethgeAttack needs numba: pip install numba"):
        foolbox_attack(name)(classifier, images, labels)
