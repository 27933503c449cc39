"""Checks of an attack's results: of the classifier, of the outcomes, and by the trust panel."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from attacks import Attack, named_norm
from evaluation.jobs.afterwards import spared
from evaluation.jobs.attack.summary import panel_settings
from evaluation.jobs.suites import AttackOptions, attack_entry
from evaluation.record.findings import Finding
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.classifier_findings import BATCH_DEPENDENT, PROBES, classifier_findings
from evaluation.under_attack.outcomes import Outcome
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import Trial
from evaluation.under_attack.trust import Examined, examined
from evaluation.under_attack.trust.counting import panel_outcome
from evaluation.under_attack.trust.ledger import Ledger


@dataclass(frozen=True)
class Tried:
    """Trials, their outcomes, and the number of images for the trust panel."""

    options: AttackOptions
    trials: Sequence[Trial]
    outcomes: Mapping[str, Outcome]
    """By setting."""
    probes: int


def questioned(tried: Tried, task: Task) -> tuple[list[Finding], dict[str, Outcome], list[Finding]]:
    """Return findings on the results, the outcomes of the trust panel's attacks, and findings on checks that failed.

    The classifier is checked first, then the attacks' outcomes, then the trust panel is run.
    """
    attacks, known = bound_attacks(tried, task), (task.classifier, task.images, task.clean.labels, task.clean)

    def classifier(count: int) -> list[Finding]:
        return classifier_findings(*known, attacks=attacks, num_probes=count)

    def trusted(count: int) -> Examined:
        return examined(*known, tried.outcomes, attacks, seed=tried.options.seed, num_probes=count)

    def of(count: int, size: int) -> int:
        """An automatic size may leave fewer probes at once; a fixed one says nothing of them."""
        return min(count, size) if task.room.automatic else count

    asked, failures = spared(
        "Questions to the classifier", lambda: task.room.within(lambda size: classifier(of(PROBES, size)), most=PROBES)
    )
    if any(finding.code == BATCH_DEPENDENT for finding in asked):
        return asked, {}, failures
    found, failed = spared("Questions to the attacks", lambda: outcome_findings(tried.outcomes, attacks))
    if not tried.probes:
        return [*asked, *found], {}, [*failures, *failed]
    looked, unseen = spared(
        "The closer look",
        lambda: [task.room.within(lambda size: trusted(of(tried.probes, size)), most=tried.probes)],
    )
    counted, uncounted = spared(
        "The count of what the closer look broke",
        lambda: [(name, outcome) for each in looked for name, outcome in _counted(tried, task, each.ledger)],
    )
    closer = [finding for each in looked for finding in each.findings]
    return [*asked, *found, *closer], dict(counted), [*failures, *failed, *unseen, *uncounted]


def _counted(tried: Tried, task: Task, ledger: Ledger) -> Iterator[tuple[str, Outcome]]:
    """The panel's outcome on the images that the attacks left, at each budget."""
    channels, norm = task.images.shape[1], named_norm(tried.options.norm)
    settings = in_ball(tried, channels)
    for number, (name, eps) in enumerate(
        zip(panel_settings(tried.options, channels), tried.options.budgets(channels), strict=True)
    ):
        left = torch.stack([tried.outcomes[each[number]].robust for each in settings]).all(dim=0) if settings else None
        outcome = None if left is None else panel_outcome(task, ledger, norm=norm, eps=eps, left=left)
        if outcome is not None:
            yield name, outcome


def in_ball(tried: Tried, channels: int) -> list[list[str]]:
    """The settings of each attack that is bounded by a norm, a budget each."""
    return [settings for name, settings in tried.options.settings(channels).items() if attack_entry(name).norms]


def bound_attacks(tried: Tried, task: Task) -> dict[str, Attack]:
    """The attacks by the names of their settings, each with its budget."""
    settings = tried.options.settings(task.images.shape[1])
    attacks: dict[str, Attack] = {}
    for trial in tried.trials:
        bound: list[Attack] = [trial.attack]
        if trial.budgets is not None:
            bound = [partial(trial.attack, eps=eps) for eps in trial.budgets]  # type: ignore[call-arg]
        attacks.update(zip(settings[trial.name], bound, strict=True))
    return attacks
