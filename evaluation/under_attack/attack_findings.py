"""Warnings that an attack failed, so that its robust accuracy is overestimated (Carlini et al., 2019)."""

from collections.abc import Mapping
from functools import partial
from itertools import permutations
from typing import Any

import torch

from attacks import Attack
from attacks.table import entry_of
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import wilson
from evaluation.statistics.significance import beats
from evaluation.under_attack.bound_attacks import is_direct, same_ball, uses_gradients
from evaluation.under_attack.outcomes import Outcome, bound
from evaluation.under_attack.probes import FEWEST, enough

WIDTH = 0.02
"""Half width of a confidence interval above which it is reported that there are few images."""
ROUNDED = 0.05
"""Share of the attacked images, undone by rounding to 8 bits, above which that is reported."""
REJECTED = 0.2
"""Share of an attack's successes in one class that is neither a label nor a prediction on unchanged images."""


def outcome_findings(outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack]) -> list[Finding]:
    """Check the outcomes: do images stay in [0, 1], and do larger budgets, gradients and more steps break more?

    Attacks are compared on the images that both were given; in a cascade those that come later get fewer.
    """
    found = [_few_samples(outcomes)]
    for name, outcome in outcomes.items():
        found += [
            _left_the_box(name, outcome),
            _broke_the_model(name, outcome),
            _lost_in_rounding(name, outcome),
            _rejected(name, outcome),
            _gradients_are_beaten(name, outcomes, attacks),
        ]
    for first, second in permutations(outcomes, 2):
        pair = outcomes[first], outcomes[second]
        found.append(_larger_is_weaker(first, second, attacks, *pair))
        found.append(_noise_is_as_strong(first, second, attacks, *pair))
        found.append(_single_step_beats(first, second, attacks, *pair))
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
        code="few-images",
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
        code="outside-bounds",
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
        code="attack-answers-nan",
    )


def _lost_in_rounding(name: str, outcome: Outcome) -> Finding | None:
    broken = outcome.attacked & ~outcome.robust
    undone, attacked = int((broken & outcome.robust_8bit).sum()), int(outcome.attacked.sum())
    if undone <= ROUNDED * attacked or undone < FEWEST:
        return None
    return Finding(
        "info",
        f"Rounding to 8 bits undoes part of {name}",
        f"{undone} of {int(broken.sum())} images that were broken are correct again after rounding.",
        "Saved as PNG these images are weaker; keep the floats, or quote robust_accuracy_8bit.",
        code="lost-in-rounding",
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
        code="larger-eps-weaker",
    )


def _noise_is_as_strong(
    noise: str, attack: str, attacks: Mapping[str, Attack], control: Outcome, outcome: Outcome
) -> Finding | None:
    blind, seeing = entry_of(attacks.get(noise)), entry_of(attacks.get(attack))
    if blind is None or blind.knowledge != "none" or seeing is None or seeing.knowledge == "none":
        return None
    broken, by_attack = int(control.success.sum()), int((outcome.attacked & ~outcome.robust).sum())
    if not same_ball(attacks[noise], attacks[attack]) or not torch.equal(control.attacked, outcome.attacked):
        return None
    if outcome.targets is not None or broken < FEWEST or by_attack > broken:
        return None
    return Finding(
        "warning",
        f"Noise is as strong as {attack}",
        f"At the same budget noise breaks {broken} and the attack {by_attack} of {int(outcome.attacked.sum())} images.",
        "The gradient leads nowhere: it is masked, or the budget is so large that any change will do.",
        code="noise-as-strong",
    )


def _single_step_beats(
    single: str, iterated: str, attacks: Mapping[str, Attack], once: Outcome, often: Outcome
) -> Finding | None:
    both = attacks.get(single), attacks.get(iterated)
    if not all(map(uses_gradients, both)) or not all(map(is_direct, both)) or not same_ball(*both):
        return None
    if not _beats(once, often):
        return None
    if int(once.backwards.max()) != 1 or int(often.backwards.max()) < 2:
        return None
    return Finding(
        "warning",
        f"{single} beats {iterated}",
        f"One step leaves {int(once.robust.sum())} of {len(once.robust)} images correct, many steps "
        f"{int(often.robust.sum())}.",
        "Every further step should help. Masked gradients lead astray near the image, or the steps are too short.",
        code="single-step-beats-iterated",
    )


def _gradients_are_beaten(name: str, outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack]) -> Finding | None:
    """Compare an attack without gradients with the worst case over those that iterate with them."""
    attack, outcome = attacks.get(name), outcomes[name]
    entry = entry_of(attack)
    if entry is None or entry.knowledge not in ("scores", "decisions") or outcome.targets is not None:
        return None
    iterated = [
        setting
        for setting, other in outcomes.items()
        if uses_gradients(attacks.get(setting))
        and same_ball(attack, attacks[setting])
        and int(other.backwards.max()) > 1
    ]
    if not any(is_direct(attacks[setting]) for setting in iterated):
        return None
    white = [outcomes[setting] for setting in iterated]
    asked = outcome.attacked & torch.stack([other.clean.correct for other in white]).all(dim=0)
    left = torch.stack([other.robust for other in white]).all(dim=0)
    more = int((asked & left & ~outcome.robust).sum())
    if not beats(outcome.robust[asked], left[asked]) and not enough(more, int(outcome.clean.correct.sum())):
        return None
    return Finding(
        "warning",
        f"{name} beats the gradient attacks",
        f"It breaks {more} of the {int((asked & left).sum())} images that all of them left, without a gradient.",
        "Gradients should know more than scores. They are masked, or the gradient attacks too short: do not trust them "
        "on this model.",
        code="black-box-beats-white-box",
    )


def _rejected(name: str, outcome: Outcome) -> Finding | None:
    """Look for successes that end in a rejection class, and for logits that are all equal.

    Only where the images are of most classes: else a class that is missing among them is no wonder.
    """
    seen = torch.zeros(outcome.logits.shape[1], dtype=torch.bool)
    seen[outcome.clean.labels] = True
    seen[outcome.clean.predictions] = True
    broken = outcome.attacked & ~outcome.robust & ~outcome.broken
    counts = outcome.predictions[broken].bincount(minlength=len(seen)).masked_fill(seen, 0)
    undecided = int((outcome.logits[broken].amax(dim=1) == outcome.logits[broken].amin(dim=1)).sum())
    rejected, broken_count = max(int(counts.max()), undecided), int(broken.sum())
    if rejected < FEWEST or rejected <= REJECTED * broken_count or int(seen.sum()) <= len(seen) / 2:
        return None
    where = "an answer that prefers no class" if undecided == rejected else f"class {int(counts.argmax())}"
    return Finding(
        "warning",
        f"{name} ends in what looks like a rejection",
        f"{rejected} of {broken_count} broken images end in {where}, which no unchanged image does.",
        "A detector that rejects them has not been fooled. Attack the classifier and its detector together, and count "
        "as broken only what is accepted and wrong.",
        code="reject-class",
    )


def _beats(one: Outcome, other: Outcome) -> bool:
    """Whether the first attack breaks significantly more of the images that both attacked than the second."""
    shared = one.attacked & other.attacked
    return beats(one.robust[shared], other.robust[shared])


def _same_but_for_eps(one: object, other: object) -> bool:
    """Whether two bound attacks differ in their budget, and in the step that follows from it, alone."""
    if not isinstance(one, partial) or not isinstance(other, partial) or one.func is not other.func:
        return False
    options = [
        {key: item.keywords[key] for key in item.keywords if key not in ("eps", "step_size")} for item in (one, other)
    ]
    budgets: list[Any] = [bound(one, "eps"), bound(other, "eps")]
    return options[0] == options[1] and all(isinstance(eps, (int, float)) for eps in budgets)
