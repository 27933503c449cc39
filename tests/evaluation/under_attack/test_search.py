"""One budget at a time: exact where the distance to the boundary is known, and the same whichever others are asked."""

import inspect
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.room import Room
from attacks import TABLE, Classifier, fgsm, pgd
from attacks.random import seeded
from evaluation.under_attack.outcomes import Outcome, clean_outcome
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import Trial, attack_outcome, cascade, outcomes_of, searches, sweep

BUDGETS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16)
DISTANCES = torch.linspace(0.0057, 0.2011, 40)
"""None of them a budget, nor half of one, so that rounding decides nothing."""
FEW = (0.04, 0.1, 0.2)
SHORT = {"steps": 4, "queries": 30, "search_steps": 2, "num_targets": 3}
"""Options that make an attack short, where it has them."""


class Brightness(nn.Module):
    """Class 1 where the mean pixel exceeds 0.5: the distance in linf is the gap, in l2 twice the gap (four pixels)."""

    def forward(self, images: Tensor) -> Tensor:
        gap = 10 * (images.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-gap, gap], dim=1)


@pytest.fixture
def images() -> Tensor:
    return (0.5 + DISTANCES).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


@pytest.fixture
def labels() -> Tensor:
    return torch.ones(len(DISTANCES), dtype=torch.int64)


def task(images: Tensor, labels: Tensor, network: nn.Module | None = None) -> Task:
    classifier = Classifier(network or Brightness())
    clean = clean_outcome(classifier, images, labels)
    return Task(classifier=classifier, images=images, clean=clean, numbers=torch.arange(len(images)), room=Room(16))


def same(one: Outcome, other: Outcome) -> bool:
    names = ("attacked", "robust", "robust_8bit", "success", "adversarial", "forwards", "backwards")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize(("norm", "scale"), [("linf", 1.0), ("l2", 2.0)])
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=8)])
def test_an_image_falls_at_the_budgets_beyond_its_distance(attack, norm, scale, images, labels) -> None:
    outcomes = sweep(Classifier(Brightness()), images, labels, partial(attack, norm=norm), BUDGETS)
    for eps, outcome in outcomes.items():
        assert torch.equal(outcome.robust, eps < scale * DISTANCES)


def several() -> list[object]:
    """Every attack of the table with a budget, in its first norm, without targets and with them."""
    return [
        pytest.param(name, targeted, id=f"{name}{'-targeted' * targeted}")
        for name, entry in TABLE.items()
        if entry.norms
        for targeted in (False, True)
        if not targeted or "targeted" in inspect.signature(entry.attack).parameters
    ]


@pytest.mark.parametrize(("name", "targeted"), several())
def test_a_number_does_not_depend_on_which_other_budgets_were_asked_for(name, targeted, monkeypatch) -> None:
    """Four classes close together: where a third class is next, the largest budget may fail, or 8 bits undo it."""
    monkeypatch.setattr("attacks.minimal.sparsefool._INNER_STEPS", 5)
    with seeded(0):
        images = torch.rand(16, 1, 2, 3)
        network = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))
    classifier = Classifier(network)
    labels = classifier.logits(images).argmax(dim=1)
    attack, entry = TABLE[name].attack, TABLE[name]
    known = inspect.signature(attack).parameters
    options = {"norm": entry.norms[0], **SHORT, **({"targeted": True} if targeted else {})}
    attack = partial(attack, **{key: value for key, value in options.items() if key in known})
    targets = (labels + 1) % 4 if targeted else None
    budgets = [1.0, 2.0, 4.0] if entry.norms[0] == "l0" else list(FEW)
    together = sweep(classifier, images, labels, attack, budgets, targets=targets)
    for eps, outcome in together.items():
        alone = attack_outcome(classifier, images, labels, partial(attack, eps=eps), targets=targets)
        assert same(outcome, alone), eps
    assert list(together) == budgets


def test_a_cascade_at_several_budgets_is_the_one_at_each(images, labels) -> None:
    given = task(images, labels)
    attacks = {"fgsm": fgsm, "pgd": partial(pgd, steps=4)}
    found, together = None, {}
    for name, attack in attacks.items():
        trial = Trial(name, attack, BUDGETS[:3])
        found = searches(given, trial, found)
        together[name] = dict(outcomes_of(trial, found, given))
    for eps in BUDGETS[:3]:
        bound = {name: partial(attack, eps=eps) for name, attack in attacks.items()}
        for name, outcome in cascade(Classifier(Brightness()), images, labels, bound, batch_size=16).items():
            assert same(together[name][eps], outcome)


def test_an_attack_sees_what_those_before_it_left(images, labels) -> None:
    seen = []

    def spy(classifier, images, labels, *, eps, indices=None):
        seen.append(indices.tolist())
        return fgsm(classifier, images, labels, eps=eps)

    attacks = {"a": partial(fgsm, eps=0.05), "b": partial(spy, eps=0.1)}
    outcomes = cascade(Classifier(Brightness()), images, labels, attacks, batch_size=16)
    assert sorted(number for batch in seen for number in batch) == (DISTANCES > 0.05).nonzero().flatten().tolist()
    assert torch.equal(outcomes["b"].attacked, DISTANCES > 0.05)
    assert torch.equal(outcomes["b"].robust, DISTANCES > 0.1)
    assert (outcomes["b"].forwards[DISTANCES < 0.05] == 0).all()


class Thirds(nn.Module):
    """Class 0 in the dark, 1 in the middle, 2 in the light."""

    def forward(self, images: Tensor) -> Tensor:
        level = images.mean(dim=(1, 2, 3))
        return torch.stack([0.35 - level, 0.1 - (level - 0.5).abs(), level - 0.65], dim=1)


def test_who_was_taken_to_a_third_class_stays_broken_whatever_comes_next() -> None:
    images, labels, targets = torch.zeros(1, 1, 2, 2), torch.tensor([0]), torch.tensor([2])

    def to(level):
        def attack(classifier, images, labels, *, targeted=False, indices=None):
            return torch.full_like(images, level)

        return attack

    attacks = {"third": partial(to(0.5), targeted=True), "back": partial(to(0.1), targeted=True)}
    attacks["plain"] = partial(to(0.2), targeted=False)
    outcomes = cascade(Classifier(Thirds()), images, labels, attacks, targets=targets)
    assert [outcome.robust.item() for outcome in outcomes.values()] == [False] * 3
    assert [outcome.attacked.item() for outcome in outcomes.values()] == [True, True, False]
    assert not outcomes["back"].success.item()
    attacks["there"] = partial(to(0.9), targeted=True)
    assert cascade(Classifier(Thirds()), images, labels, attacks, targets=targets)["there"].success.item()


def test_a_weak_attack_may_fail_at_a_larger_budget() -> None:
    """It overshoots there. That the small budget suffices is no work of the large one."""

    class Stripe(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            level = images.flatten(1).mean(dim=1)
            wrong = 0.02 - (level - 0.45).abs()
            return torch.stack([wrong, torch.zeros_like(wrong)], dim=1)

    images, labels = torch.full((1, 1, 2, 2), 0.5), torch.tensor([1])
    found = sweep(Classifier(Stripe()), images, labels, fgsm, (0.05, 0.3))
    assert [outcome.robust.item() for outcome in found.values()] == [False, True]
