"""Alarms about attacks that show no robustness, only their own failure (Carlini et al., 2019)."""

from collections.abc import Mapping
from functools import partial
from itertools import permutations
from typing import Any

from scipy import stats

from attacks import ATTACKS, Attack
from evaluation.findings import Finding
from evaluation.intervals import wilson
from evaluation.outcomes import Outcome, bound

LEVEL = 0.01
"""Chance of a false alarm where two attacks are compared."""
WIDTH = 0.02
"""Half width of an interval above which a second digit of a percentage says nothing."""
FEWEST = 5
"""Images that an alarm rests on at least."""
_NOISE = (ATTACKS["uniform"], ATTACKS["gaussian"])


def outcome_findings(outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack]) -> list[Finding]:
    """Question the attacks: do they stay in bounds, does more budget and more knowledge help, are n images enough?"""
    found = [_few_samples(outcomes)]
    for name, outcome in outcomes.items():
        found += [_left_the_box(name, outcome), _broke_the_model(name, outcome), _lost_in_rounding(name, outcome)]
    for first, second in permutations(outcomes, 2):
        pair = outcomes[first], outcomes[second]
        found.append(_larger_is_weaker(first, second, attacks, *pair))
        found.append(_noise_is_as_strong(first, second, attacks, *pair))
    return [finding for finding in found if finding is not None]


def _few_samples(outcomes: Mapping[str, Outcome]) -> Finding | None:
    if not outcomes:
        return None
    samples = min(len(outcome.robust) for outcome in outcomes.values())
    widths = [wilson(int(outcome.robust.sum()), len(outcome.robust)) for outcome in outcomes.values()]
    margin = max(high - low for low, high in widths) / 2
    if margin <= WIDTH:
        return None
    return Finding(
        "info",
        "Few images",
        f"With n = {samples} a robust accuracy is known to ± {100 * margin:.1f} points at worst.",
        f"About {round(samples * (margin / 0.01) ** 2, -2):,.0f} images would give ± 1 point; quote no more digits.",
    )


def _left_the_box(name: str, outcome: Outcome) -> Finding | None:
    outside = ~((outcome.adversarial >= 0) & (outcome.adversarial <= 1)).flatten(1).all(dim=1)
    if not bool(outside.any()):
        return None
    return Finding(
        "warning",
        f"{name} leaves [0, 1]",
        f"{int(outside.sum())} of {int(outcome.attacked.sum())} attacked images have pixels that no picture can hold.",
        "Its numbers are not those of an attack on images: clip the result inside the attack.",
    )


def _broke_the_model(name: str, outcome: Outcome) -> Finding | None:
    broken = int(outcome.broken.sum())
    if not broken:
        return None
    return Finding(
        "warning",
        f"{name} makes the model answer NaN",
        f"{broken} of {int(outcome.attacked.sum())} attacked images; they count as its errors, not as robust.",
        "Look for overflow in half precision or a division by zero before trusting any number of this table.",
    )


def _lost_in_rounding(name: str, outcome: Outcome) -> Finding | None:
    kept, rounded = int(outcome.robust.sum()), int(outcome.robust_8bit.sum())
    attacked = int(outcome.attacked.sum())
    if rounded - kept <= 0.05 * attacked or rounded - kept < FEWEST:
        return None
    return Finding(
        "info",
        f"Rounding to 8 bits undoes part of {name}",
        f"{rounded - kept} of {attacked - kept} images that were broken are correct again after rounding.",
        "Saved as PNG these images are weaker; keep the floats, or quote robust_accuracy_8bit.",
    )


def _larger_is_weaker(
    small: str, large: str, attacks: Mapping[str, Attack], weak: Outcome, strong: Outcome
) -> Finding | None:
    if not _same_but_for_eps(attacks.get(small), attacks.get(large)):
        return None
    if bound(attacks[small], "eps") >= bound(attacks[large], "eps") or not _beats(weak, strong):
        return None
    return Finding(
        "warning",
        f"{large} is weaker than {small}",
        f"The larger budget leaves {int(strong.robust.sum())} of {len(strong.robust)} images correct, the smaller one "
        f"{int(weak.robust.sum())}.",
        "The attack fails to use its budget, as happens where gradients are masked or steps too long. Try more steps, "
        "restarts and a smaller step size.",
    )


def _noise_is_as_strong(
    noise: str, attack: str, attacks: Mapping[str, Attack], control: Outcome, outcome: Outcome
) -> Finding | None:
    blind, seeing = attacks.get(noise), attacks.get(attack)
    if _function(blind) not in _NOISE or _function(seeing) not in ATTACKS.values() or _function(seeing) in _NOISE:
        return None
    same_ball = bound(blind, "eps") == bound(seeing, "eps") and _norm_name(blind) == _norm_name(seeing)
    broken, by_attack = int(control.success.sum()), int((outcome.attacked & ~outcome.robust).sum())
    if not same_ball or outcome.targets is not None or broken < FEWEST or by_attack > broken:
        return None
    return Finding(
        "warning",
        f"Noise is as strong as {attack}",
        f"At the same budget noise breaks {broken} and the attack {by_attack} of {int(outcome.attacked.sum())} images.",
        "The gradient leads nowhere: it is masked, or the budget is so large that any change will do.",
    )


def _beats(one: Outcome, other: Outcome) -> bool:
    """Whether the first attack breaks images that the second leaves so much more often that chance will not do."""
    only_one = int((~one.robust & other.robust).sum())
    only_other = int((one.robust & ~other.robust).sum())
    return float(stats.binomtest(only_one, only_one + only_other, alternative="greater").pvalue) < LEVEL


def _same_but_for_eps(one: object, other: object) -> bool:
    """Whether two bound attacks differ in their budget, and in the step that follows from it, alone."""
    if not isinstance(one, partial) or not isinstance(other, partial) or one.func is not other.func:
        return False
    options = [
        {key: item.keywords[key] for key in item.keywords if key not in ("eps", "step_size")} for item in (one, other)
    ]
    budgets: list[Any] = [bound(one, "eps"), bound(other, "eps")]
    return options[0] == options[1] and all(isinstance(eps, (int, float)) for eps in budgets)


def _function(attack: object) -> object:
    return attack.func if isinstance(attack, partial) else attack


def _norm_name(attack: object) -> str:
    norm = bound(attack, "norm")
    return "linf" if norm is None else getattr(norm, "name", str(norm))
