"""Attacks tried on a classifier, alone or as a cascade in which only what one leaves goes on to the next."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from advgan.machine.room import Room
from attacks import Attack, Classifier
from attacks.arrays import as_tensor
from attacks.table import entry_of
from evaluation.under_attack.eight_bits import check_levels
from evaluation.under_attack.outcomes import Clean, Outcome, bound, clean_outcome
from evaluation.under_attack.search import Search, Task, search


@dataclass(frozen=True)
class Trial:
    """One attack and the budgets to try it at."""

    name: str
    attack: Attack
    """Lacks `eps` and nothing else; where `budgets` is None, lacks nothing."""
    budgets: tuple[float, ...] | None = None
    """Ascending, each once."""


def attack_outcome(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    *,
    targets: Tensor | None = None,
    clean: Clean | None = None,
    batch_size: int | Literal["auto"] | Room = 256,
    eight_bit: bool = False,
) -> Outcome:
    """Attack the images (N, C, H, W) in [0, 1] that are classified correctly, and look at the results once.

    The attack lacks no option. `targets` (N,) are for one that is bound with `targeted=True`. `clean` saves the pass
    over the unchanged images. Each image's randomness is bound to its number in `images`, so `batch_size` changes
    nothing but rounding, where the network answers each image by itself. With `eight_bit` the attack is confined to
    images of 8 bits.
    """
    task = _task(classifier, images, labels, [attack], targets, clean, batch_size, eight_bit)
    aims = task.targets if bound(attack, "targeted") else None
    return search(task, attack).outcome(task.images, task.clean, aims)


def sweep(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    eps_values: Iterable[float],
    *,
    targets: Tensor | None = None,
    clean: Clean | None = None,
    batch_size: int | Literal["auto"] | Room = 256,
) -> dict[float, Outcome]:
    """Attack at several budgets, over one pass of the unchanged images; `attack` lacks only `eps`.

    Each outcome is that of `attack_outcome` at its budget, passes included, whichever others are asked for. So the
    accuracy of a poor attack may rise with eps.
    """
    task = _task(classifier, images, labels, [attack], targets, clean, batch_size)
    trial = Trial("", attack, tuple(sorted(set(eps_values))))
    return dict(outcomes_of(trial, searches(task, trial), task))


def cascade(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attacks: Mapping[str, Attack],
    *,
    targets: Tensor | None = None,
    clean: Clean | None = None,
    batch_size: int | Literal["auto"] | Room = 256,
    eight_bit: bool = False,
) -> dict[str, Outcome]:
    """Attack with one after the other, each only what those before it left; the attacks lack no option.

    The robust accuracy of each is that under all attacks up to it; that of the last is the result of the ensemble.
    """
    task = _task(classifier, images, labels, attacks.values(), targets, clean, batch_size, eight_bit)
    outcomes: dict[str, Outcome] = {}
    found: Search | None = None
    for name, attack in attacks.items():
        found = search(task, attack, None, found)
        outcomes[name] = found.outcome(task.images, task.clean, task.targets if bound(attack, "targeted") else None)
    return outcomes


def searches(task: Task, trial: Trial, before: Sequence[Search] | None = None) -> list[Search]:
    """Search at each budget of a trial; `before` is what an attack before it, in a cascade, found at each of them."""
    budgets: Sequence[float | None] = (None,) if trial.budgets is None else trial.budgets
    earlier: Sequence[Search | None] = before or [None] * len(budgets)
    return [search(task, trial.attack, eps, known) for eps, known in zip(budgets, earlier, strict=True)]


def outcomes_of(trial: Trial, found: Sequence[Search], task: Task) -> list[tuple[float, Outcome]]:
    """Each budget of a trial with its outcome; infinity stands for a trial without budgets."""
    targets = task.targets if bound(trial.attack, "targeted") else None
    budgets: Sequence[float] = (torch.inf,) if trial.budgets is None else trial.budgets
    return [(eps, each.outcome(task.images, task.clean, targets)) for eps, each in zip(budgets, found, strict=True)]


def _task(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attacks: Iterable[Attack],
    targets: Tensor | None,
    clean: Clean | None,
    batch_size: int | Literal["auto"] | Room,
    eight_bit: bool = False,
) -> Task:
    room = Room.of(batch_size)
    images, labels = as_tensor(images, "images"), as_tensor(labels, "labels")
    if eight_bit:
        check_levels(images)
    clean = clean or room.within(lambda size: clean_outcome(classifier, images, labels, batch_size=size))
    return Task(
        classifier=classifier,
        images=images,
        clean=clean,
        numbers=torch.arange(len(images)),
        targets=checked_targets(attacks, clean.labels, targets),
        room=room,
        eight_bit=eight_bit,
    )


def checked_targets(attacks: Iterable[Attack], labels: Tensor, targets: Tensor | None) -> Tensor | None:
    """The targets on the CPU; ValueError where they and the attacks' `targeted` do not go together.

    An attack outside the table must bind `targeted`: whether it is passed labels or targets depends on it.
    """
    attacks = list(attacks)
    wanted = [bound(attack, "targeted") for attack in attacks]
    if targets is None:
        if any(wanted):
            raise ValueError("a targeted attack needs targets: the classes to reach, one an image")
        return None
    for attack, aim in zip(attacks, wanted, strict=True):
        if aim is None and entry_of(attack) is None:
            raise ValueError(
                f"targets were given, and {_name(attack)} does not say whether it wants them: give it an option "
                "targeted, and bind it with functools.partial(..., targeted=True), or False for the true labels"
            )
    if wanted and not any(wanted):
        raise ValueError("targets were given, but no attack wants them: bind targeted=True with functools.partial")
    targets = as_tensor(targets, "targets")
    if targets.is_floating_point() or targets.shape != labels.shape or bool((targets.cpu() == labels.cpu()).any()):
        raise ValueError("targets must be one class an image, each other than the image's label")
    return targets.cpu().to(torch.int64)


def _name(attack: object) -> str:
    function = attack.func if isinstance(attack, partial) else attack
    return str(getattr(function, "__name__", None) or type(function).__name__)
