"""Read the threat model of an attack bound by `functools.partial`: knowledge, norm, budget (eps) and steps."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from attacks import Attack, Norm, named_norm, pgd
from attacks.table import entry_of
from evaluation.under_attack.outcomes import Outcome, bound


@dataclass(frozen=True)
class Threat:
    """The norm and budget at which gradient attacks are checked, and the images that survived them."""

    name: str
    """The setting of the strongest of those that are direct; "pgd" where none is."""
    attack: Attack
    """Theirs, else PGD: what other attacks leave, and how their loss rises, says nothing of the network's gradient."""
    norm: Norm
    eps: float
    survivors: Tensor
    """(N,) bool: correct, and broken by no untargeted gradient attack of this norm and budget."""
    stands_in: bool = False
    """Whether `attack` is PGD because the evaluation has no such attack."""


def norm_of(attack: object) -> Norm | None:
    """The norm that is bound, else the attack's default."""
    norm, entry = bound(attack, "norm"), entry_of(attack)
    if norm is None and entry is not None and entry.norms:
        norm = entry.norms[0]
    return None if norm is None else named_norm(norm)


def eps_of(attack: object) -> float | None:
    """The budget, where one number is bound for all images."""
    eps = bound(attack, "eps")
    return float(eps) if isinstance(eps, (int, float)) else None


def option_of(attack: object, option: str) -> Any:
    """The value of an option, bound or by default; None where the attack has no such option."""
    value = bound(attack, option)
    if value is not None:
        return value
    default = _parameters(attack).get(option)
    return None if default is None or default.default is inspect.Parameter.empty else default.default


def with_options(attack: Callable[..., Tensor], **options: Any) -> "partial[Tensor]":
    """Bind those of the options that the attack has, over what is bound already."""
    known = _parameters(attack)
    return partial(attack, **{option: value for option, value in options.items() if option in known})


def scaled(attack: Callable[..., Tensor], **options: Any) -> "partial[Tensor]":
    """Bind options as `with_options` does, and reset the step size to None where that is its default."""
    step_size = _parameters(attack).get("step_size")
    if step_size is not None and step_size.default is None:
        options["step_size"] = None
    return with_options(attack, **options)


def uses_gradients(attack: object) -> bool:
    """Whether this is an untargeted gradient attack within a single budget `eps`, by the table of attacks.

    Universal perturbations, which many images share, do not count.
    """
    entry = entry_of(attack)
    if entry is None or entry.knowledge != "gradients" or not entry.per_sample:
        return False
    return not bound(attack, "targeted") and eps_of(attack) is not None


def is_direct(attack: object) -> bool:
    """Whether an attack climbs the label's loss of the network at hand with all of its budget.

    Only then does what it leaves, or the course of its loss, speak for the network's gradient: not where the nearest
    image that fools is looked for, one that fools other networks too, or one with another answer than the clean one.
    """
    entry = entry_of(attack)
    return entry is not None and entry.aim == "budget" and entry.direct


def same_ball(one: object, other: object) -> bool:
    """Whether two attacks have one norm and one budget."""
    norms = norm_of(one), norm_of(other)
    return eps_of(one) is not None and eps_of(one) == eps_of(other) and norms[0] is not None and norms[0] == norms[1]


def hardest_threat(outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack]) -> Threat | None:
    """The budget at which the gradient attacks leave nearest to half of the correctly classified images.

    There, a stronger attack has the most to show. None where no gradient attack was made.
    """
    groups: dict[tuple[str, float], list[str]] = {}
    for name in outcomes:
        norm, eps = norm_of(attacks.get(name)), eps_of(attacks.get(name))
        if uses_gradients(attacks.get(name)) and norm is not None and eps:
            groups.setdefault((norm.name, eps), []).append(name)
    threats = [_threat(names, outcomes, attacks) for names in groups.values()]
    correct = max((int(outcome.clean.correct.sum()) for outcome in outcomes.values()), default=0)
    return min(threats, key=lambda threat: (_imbalance(threat, correct), -threat.eps), default=None)


def _threat(names: list[str], outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack]) -> Threat:
    survivors = outcomes[names[0]].robust.clone()
    for name in names:
        survivors &= outcomes[name].robust
    norm, eps = norm_of(attacks[names[0]]), eps_of(attacks[names[0]])
    assert norm is not None
    assert eps is not None
    # Of equals, one that iterates: it can be asked for more steps.
    strongest = min(
        (name for name in names if is_direct(attacks[name])),
        key=lambda name: (int(outcomes[name].robust.sum()), not option_of(attacks[name], "steps")),
        default=None,
    )
    if strongest is None:
        return Threat("pgd", with_options(pgd, norm=norm, eps=eps), norm, eps, survivors, stands_in=True)
    return Threat(strongest, attacks[strongest], norm, eps, survivors)


def _imbalance(threat: Threat, correct: int) -> float:
    return abs(int(threat.survivors.sum()) / max(correct, 1) - 0.5)


def _parameters(attack: object) -> Mapping[str, inspect.Parameter]:
    function = attack.func if isinstance(attack, partial) else attack
    return inspect.signature(function).parameters if callable(function) else {}
