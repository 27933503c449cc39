"""The smallest budget that breaks an image: exact where the distance to the boundary is known, and for few passes."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.room import Room
from attacks import Classifier, fgsm, pgd
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.search import Task, search
from evaluation.under_attack.trials import attack_outcome, cascade, sweep

BUDGETS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16)
DISTANCES = torch.linspace(0.0057, 0.2011, 40)
"""None of them a budget, nor half of one, so that rounding decides nothing."""


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


def expected_levels(scale: float = 1.0) -> list[int]:
    limits = torch.tensor(BUDGETS)
    return (limits[None, :] < scale * DISTANCES[:, None]).sum(dim=1).tolist()


@pytest.mark.parametrize(("norm", "scale"), [("linf", 1.0), ("l2", 2.0)])
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=8)])
def test_the_level_is_the_first_budget_beyond_the_distance(attack, norm, scale, images, labels) -> None:
    found = search(task(images, labels), partial(attack, norm=norm), BUDGETS)
    assert found.level.tolist() == expected_levels(scale)


def test_every_outcome_lies_in_its_ball_and_says_what_a_run_of_its_own_says(images, labels) -> None:
    attack = partial(pgd, steps=8)
    outcomes = sweep(Classifier(Brightness()), images, labels, attack, BUDGETS, batch_size=16)
    for eps, outcome in outcomes.items():
        alone = attack_outcome(Classifier(Brightness()), images, labels, partial(attack, eps=eps))
        assert torch.equal(outcome.robust, alone.robust)
        assert (outcome.linf <= eps + 1e-6).all()
        assert torch.equal(outcome.robust, outcome.clean.correct & (eps < DISTANCES))


def test_an_image_pays_for_one_run_that_fails(images, labels) -> None:
    """A run that fails costs all 40 steps, and eight budgets apart cost eight of them."""
    attack = partial(pgd, steps=40)
    together = search(task(images, labels), attack, BUDGETS)
    apart = sum(
        attack_outcome(Classifier(Brightness()), images, labels, partial(attack, eps=eps)).forwards for eps in BUDGETS
    )
    assert (together.forwards[together.level == 8] == 40).all()
    assert together.forwards.sum() < 0.4 * apart.sum()


def test_an_attack_that_measures_distance_runs_once(images, labels) -> None:
    calls = []

    def nearest(classifier, images, labels, *, eps=None, norm="linf", indices=None):
        calls.append(eps)
        level = torch.full_like(images, 0.4999)
        return level

    found = search(task(images, labels), nearest, BUDGETS)
    assert found.level.tolist() == expected_levels()
    assert calls == [None, None, None]  # three batches of 16, one call each
    for number, eps in enumerate(BUDGETS):
        outcome = found.outcome(number, images, task(images, labels).clean, None)
        assert (outcome.linf <= eps + 1e-6).all()


def test_a_cascade_goes_on_with_what_is_left(images, labels) -> None:
    seen = []

    def spy(classifier, images, labels, *, eps, indices=None):
        seen.append(indices.tolist())
        return fgsm(classifier, images, labels, eps=eps)

    given = task(images, labels)
    first = search(given, fgsm, BUDGETS[:2])
    second = search(given, spy, BUDGETS[:2], first)
    assert sorted(number for batch in seen[:3] for number in batch) == (DISTANCES > 0.02).nonzero().flatten().tolist()
    assert torch.equal(second.level, first.level)
    assert (second.forwards[first.level == 0] == 0).all()
    outcome = second.outcome(1, images, given.clean, None)
    assert torch.equal(outcome.attacked, first.level > 1)
    assert torch.equal(outcome.robust, DISTANCES > 0.04)


def test_a_smaller_budget_is_not_lost_where_a_larger_one_fails() -> None:
    """The attack overshoots at the large budget. Tried in order, the small one still counts."""

    class Stripe(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            level = images.flatten(1).mean(dim=1)
            wrong = 0.02 - (level - 0.45).abs()
            return torch.stack([wrong, torch.zeros_like(wrong)], dim=1)

    images, labels = torch.full((1, 1, 2, 2), 0.5), torch.tensor([1])
    found = search(task(images, labels, Stripe()), fgsm, (0.05, 0.3))
    assert found.level.tolist() == [0]


def test_cascades_and_sweeps_are_reachable_by_name(images, labels) -> None:
    attacks = {"a": partial(fgsm, eps=0.05), "b": partial(fgsm, eps=0.1)}
    outcomes = cascade(Classifier(Brightness()), images, labels, attacks)
    assert torch.equal(outcomes["b"].robust, DISTANCES > 0.1)
    assert torch.equal(outcomes["b"].attacked, DISTANCES > 0.05)
