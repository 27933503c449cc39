"""Check that attacks converge: more steps, larger budgets, and the course of their loss (Carlini et al., 2019)."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from attacks import Attack, pgd
from attacks.table import entry_of
from evaluation.record.findings import Finding
from evaluation.statistics.significance import beats
from evaluation.under_attack.bound_attacks import Threat, eps_of, norm_of, option_of, scaled, with_options
from evaluation.under_attack.outcomes import Outcome, bound
from evaluation.under_attack.probes import Probes, enough
from evaluation.under_attack.trust.ledger import Ledger
from evaluation.under_attack.trust.watching import watch

MORE = 4
"""Factor on the steps of the longer attack. Sound ones gain about a point by it (PGD-20 to PGD-1000 on TRADES: 0.2)."""
MOST_STEPS = 160
"""Most steps of the longer attack: four times the usual 40."""
FREE_STEPS = 50
"""Steps of the unbounded attack: of size 2.5 * eps / steps each, they cover more than twice the range of pixels."""
WATCHED = 200
"""Passes per image to repeat attacks while observing them, in all; more expensive attacks are not repeated."""
LOST = 0.01
"""Share of images with an adversarial iterate that was not returned, above which it is reported; below, rounding."""
LAST = 0.25
"""The last part of an attack's steps, in which a converged attack's loss hardly rises."""
UNFINISHED = 0.2
"""Rise of the loss in that part, as share of the whole. IoAF (Pintor et al., 2022) has 0.05 for the last ten steps of
each image; PGD with 40 constant steps has up to 0.1 in the last ten on sound robust networks."""
IDLE = 0.1
"""Rise of the loss over its first-order prediction for the budget. Sound networks give 0.5 and more."""


def convergence_findings(
    probes: Probes, threat: Threat, outcomes: Mapping[str, Outcome], ledger: Ledger | None = None
) -> list[Finding]:
    """Check the strongest gradient attack: more steps, a larger budget, no budget, and the course of its loss."""
    found = [
        _not_converged(probes, threat, ledger or Ledger()),
        _larger_is_weaker(probes, threat, outcomes.get(threat.name)),
        _unbounded(probes, threat),
        *_course(probes, threat),
    ]
    return [finding for finding in found if finding is not None]


def silent_findings(
    probes: Probes, outcomes: Mapping[str, Outcome], attacks: Mapping[str, Attack], ledger: Ledger | None = None
) -> list[Finding]:
    """Repeat cheap attacks on probes they left; report those with an adversarial iterate that was not returned."""
    found, left, ledger = [], float(WATCHED), ledger or Ledger()
    for name, outcome in outcomes.items():
        attack = attacks.get(name)
        norm, eps = norm_of(attack), eps_of(attack)
        survivors = probes.select(outcome.robust[probes.indices.cpu()])
        cost = _passes(outcome)
        if attack is None or norm is None or eps is None or bound(attack, "targeted") or len(survivors) == 0:
            continue
        if outcome.targets is None and 0 < cost <= left:
            left -= cost
            result, note = watch(survivors, attack, norm=norm, eps=eps)
            lost = int((note.fooled.cpu() & ~survivors.broken_by(result)).sum())
            if bool(note.fooled.any()):
                ledger.take(survivors.select(note.fooled), note.example[note.fooled], norm=norm, eps=eps)
            if lost > LOST * len(probes):
                found.append(_silent(name, lost, len(probes), attack))
    return found


def longer(threat: Threat, *, seed_shift: int = 1) -> "partial[Tensor]":
    """The strongest attack with more steps and another seed; PGD where it has no steps."""
    steps = option_of(threat.attack, "steps")
    more = min(MORE * (steps or 10), MOST_STEPS)
    base = threat.attack if steps else with_options(pgd, norm=threat.norm, eps=threat.eps)
    seed = (option_of(base, "seed") or 0) + seed_shift
    return scaled(base, steps=more, seed=seed)


def _not_converged(probes: Probes, threat: Threat, ledger: Ledger) -> Finding | None:
    survivors = probes.select(threat.survivors[probes.indices.cpu()])
    steps = option_of(threat.attack, "steps") or 1
    if len(survivors) == 0 or steps >= MOST_STEPS:
        return None
    attack = longer(threat)
    found = attack(survivors.classifier, survivors.images, survivors.labels, indices=survivors.indices)
    more = int(ledger.take(survivors, found, norm=threat.norm, eps=threat.eps).sum())
    if not enough(more, len(probes)):
        return None
    ledger.alarm(more, attack)
    name = threat.name if option_of(threat.attack, "steps") else "pgd"
    evidence = (
        f"At {_budget(threat)} {name} breaks with {option_of(attack, 'steps')} steps from another start {more} of the "
        f"{len(survivors)} images that all gradient attacks left ({len(probes)} were asked)."
    )
    return _weaker(evidence) if threat.stands_in else _unconverged(evidence)


def _unconverged(evidence: str) -> Finding:
    return Finding(
        "warning",
        "More steps still break more",
        evidence,
        "The attacks have not converged: the robust accuracy is too high. Give them more steps and restarts.",
        code="not-converged",
    )


def plain_finding(survivors: Probes, total: int, threat: Threat, ledger: Ledger) -> Finding | None:
    """Attack the survivors with plain PGD: if it succeeds, the attacks were weak, and the gradient is not masked."""
    if threat.stands_in or len(survivors) == 0:
        return None
    attack = with_options(pgd, norm=threat.norm, eps=threat.eps)
    found = attack(survivors.classifier, survivors.images, survivors.labels, indices=survivors.indices)
    more = int(ledger.take(survivors, found, norm=threat.norm, eps=threat.eps).sum())
    if not enough(more, total):
        return None
    ledger.alarm(more, attack)
    return _weaker(
        f"At {_budget(threat)} pgd breaks {more} of the {len(survivors)} images that all gradient attacks left, with "
        f"more steps too ({total} were asked)."
    )


def _weaker(evidence: str) -> Finding:
    return Finding(
        "info",
        "PGD breaks more than the attacks that were chosen",
        evidence,
        "Attacks that look for the nearest image, or for one that fools other networks too, need not find what there "
        "is within a budget. Attack with pgd as well for a robust accuracy.",
        code="weaker-than-pgd",
    )


def _larger_is_weaker(probes: Probes, threat: Threat, outcome: Outcome | None) -> Finding | None:
    large = min(2 * threat.eps, _whole(probes, threat))
    if outcome is None or large <= threat.eps or (option_of(threat.attack, "steps") or 1) > MOST_STEPS:
        return None
    attack = scaled(threat.attack, eps=large)
    found = attack(probes.classifier, probes.images, probes.labels, indices=probes.indices)
    small, after = outcome.robust[probes.indices.cpu()], ~probes.broken_by(found)
    if not beats(small, after):
        return None
    return Finding(
        "warning",
        f"Twice the budget makes {threat.name} weaker",
        f"It leaves {int(after.sum())} of {len(probes)} images correct, and {int(small.sum())} with the single one.",
        "The attack fails to use its budget, as happens where gradients are masked or steps too long. Try more steps, "
        "restarts and a smaller step size.",
        code="larger-eps-weaker",
    )


def _unbounded(probes: Probes, threat: Threat) -> Finding | None:
    """From a random start, and from the image with steps of the budget asked about."""
    left, whole = probes, _whole(probes, threat)
    for options in ({}, {"random_start": False, "step_size": min(threat.eps, whole / 10)}):
        if len(left):
            attack = with_options(pgd, norm=threat.norm, eps=whole, steps=FREE_STEPS, **options)
            left = left.select(~left.broken_by(attack(left.classifier, left.images, left.labels, indices=left.indices)))
    if not enough(len(left), len(probes)):
        return None
    return Finding(
        "warning",
        "An unbounded attack fails",
        f"Free to change every pixel to anything, PGD leaves {len(left)} of {len(probes)} images correct.",
        "Every classifier can be fooled then, so gradients do not show the way, and a robust accuracy by gradient "
        "attacks is no bound. Attack without gradients or through a smooth substitute.",
        code="unbounded-attack-fails",
    )


def _course(probes: Probes, threat: Threat) -> list[Finding]:
    survivors = probes.select(threat.survivors[probes.indices.cpu()])
    steps = option_of(threat.attack, "steps") or 1
    if not enough(len(survivors), len(probes)) or steps < 4 / LAST / 2 or steps > MOST_STEPS:
        return []
    result, note = watch(survivors, threat.attack, norm=threat.norm, eps=threat.eps)
    rise, start = torch.stack(note.rise).cpu().double(), _loss(survivors, survivors.images)
    whole = (rise[-1] - start).clamp(min=0)
    last = rise[-1] - rise[int((1 - LAST) * len(rise)) - 1]
    found = []
    moving = whole > 0
    share = float((last / whole)[moving].mean()) if bool(moving.any()) else 0.0
    if share > UNFINISHED and enough(int(moving.sum()), len(probes)):
        further = _further(survivors, threat, start)
        # A loss that rises to the end is no fault where the budget ends with the steps.
        if float((further / whole)[moving].median()) > 1 + UNFINISHED:
            found.append(_unfinished(threat, share))
    promised = _promised(survivors, threat)
    pointed = promised > 0
    if enough(int(pointed.sum()), len(probes)):
        # What an attack asks about need not lie in the ball, as where it looks ahead; its result does.
        reached = (_loss(survivors, result) - start).maximum(whole)
        gain = float((reached / promised)[pointed].median())
        if gain < IDLE:
            found.append(_idle(threat, gain))
    return found


def _further(survivors: Probes, threat: Threat, start: Tensor) -> Tensor:
    """(n,) rise of the loss by the attack with more steps, and with their length left to it."""
    found = longer(threat)(survivors.classifier, survivors.images, survivors.labels, indices=survivors.indices)
    return _loss(survivors, found) - start


def _unfinished(threat: Threat, share: float) -> Finding:
    return Finding(
        "warning",
        f"The loss of {threat.name} still rises at the end",
        f"The last {LAST:.0%} of its steps bring {share:.0%} of the rise of the loss at the images that it leaves.",
        "The optimisation is incomplete. Give it more steps, or larger ones.",
        code="incomplete-optimisation",
    )


def _idle(threat: Threat, gain: float) -> Finding:
    return Finding(
        "warning",
        f"The loss of {threat.name} hardly rises",
        f"At the images that it leaves the loss rises by {gain:.1%} (median) of what its gradient promises for "
        f"{_budget(threat)}.",
        "The gradient holds only in the smallest surroundings of the images: it is shattered or masked. Smooth it, or "
        "attack without gradients.",
        code="loss-hardly-rises",
    )


def _silent(name: str, lost: int, total: int, attack: Attack) -> Finding:
    entry = entry_of(attack)
    meant = entry is not None and not entry.direct
    return Finding(
        "info" if meant else "warning",
        f"{name} loses what it has found",
        f"At {lost} of {total} images it tried one that fools, within the budget, and returned one that does not.",
        "It returns its last image, as is meant where others are to be fooled with it: attack with pgd as well for a "
        "robust accuracy."
        if meant
        else "Let it keep the first or the best iterate instead of the last (silent success: Pintor et al., 2022).",
        code="silent-success",
    )


def _loss(probes: Probes, images: Tensor) -> Tensor:
    return probes.objective(probes.classifier.logits(images)).cpu().double()


def _promised(probes: Probes, threat: Threat) -> Tensor:
    """(n,) first-order prediction of the rise of the loss by the steepest step within the budget and [0, 1]."""
    if probes.found is None:
        return torch.zeros(len(probes), dtype=torch.float64)
    gradient = torch.nan_to_num(probes.found.gradient)
    move = threat.norm.steepest(gradient, probes.images, threat.eps)
    end = threat.norm.project(probes.images + move, probes.images, threat.eps)
    return (gradient * (end - probes.images)).flatten(1).sum(dim=1).cpu().double()


def _passes(outcome: Outcome) -> float:
    attacked = outcome.attacked
    return float(outcome.forwards[attacked].double().mean()) if bool(attacked.any()) else 0.0


def _whole(probes: Probes, threat: Threat) -> float:
    """The budget that reaches every image."""
    return float(threat.norm.size(torch.ones_like(probes.images[:1])))


def _budget(threat: Threat) -> str:
    return f"{threat.norm.name} {threat.eps:.3g}"
