"""What stands beside the scores of an attack: what speaks against them, and what fooled the classifier, in pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from advgan.data import ImageSet
from attacks import Attack, named_norm
from evaluation.jobs.afterwards import spared
from evaluation.jobs.attack.classes import became_panel, classes_panel
from evaluation.jobs.attack.panels import curve_panels, stages_panel, triplet_panels
from evaluation.jobs.attack.summary import panel_settings
from evaluation.jobs.setup import log
from evaluation.jobs.suites import AttackOptions, attack_entry, format_eps
from evaluation.record.findings import Finding
from evaluation.report.panels import CurvePanel, Panel
from evaluation.report.results import Results
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.classifier_findings import BATCH_DEPENDENT, PROBES, classifier_findings
from evaluation.under_attack.outcomes import Outcome
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import Trial
from evaluation.under_attack.trust import Examined, examined
from evaluation.under_attack.trust.counting import panel_outcome
from evaluation.under_attack.trust.ledger import Ledger


@dataclass(frozen=True)
class Show:
    """What was tried, what came of it, and how much is shown."""

    options: AttackOptions
    trials: Sequence[Trial]
    outcomes: Mapping[str, Outcome]
    some: ImageSet
    """For the curve over eps."""
    targets: Tensor | None
    """Theirs."""
    points: int
    probes: int


Measured = Callable[[Mapping[str, Outcome], Sequence[Finding]], Results]
"""What the trust panel broke, by setting, and all that was found, to what was measured."""


def explained(measured: Measured, show: Show, task: Task, folder: Path) -> Results:
    """What was measured with findings and panels, made in the room that the attacks had.

    What fails becomes a finding. What the trust panel breaks counts, and is shown as every other attack is.
    """
    findings, panel, failed = _asked(show, task)
    for finding in findings:
        if finding.level == "warning":
            log.warning("Warning: %s. %s", finding.title, finding.evidence)
    outcomes, classes = {**show.outcomes, **panel}, show.some.classes
    drawn: list[tuple[list[Panel], list[Finding]]] = [
        spared("The table of the attacks", lambda: [stages_panel(outcomes, cascade=show.options.cascade)]),
        spared("The accuracy by class", lambda: _of_classes(_by_budget(show, task, panel), classes)),
        spared("The curve over eps", lambda: _curves(show, task)),
        spared("Pictures of what fooled it", lambda: triplet_panels(folder, task.images, outcomes, classes)),
    ]
    failed = [*failed, *(one for _, missing in drawn for one in missing)]
    results = measured(panel, [*findings, *failed])
    return replace(results, panels=tuple(panel for panels, _ in drawn for panel in panels))


def _asked(show: Show, task: Task) -> tuple[list[Finding], dict[str, Outcome], list[Finding]]:
    """What speaks against the numbers, what was broken to find it out, and which question could not be asked.

    The classifier is asked first, then the attacks, then both under a closer look.
    """
    attacks, known = _bound(show, task), (task.classifier, task.images, task.clean.labels, task.clean)

    def questioned(count: int) -> list[Finding]:
        return classifier_findings(*known, attacks=attacks, num_probes=count)

    def trusted(count: int) -> Examined:
        return examined(*known, show.outcomes, attacks, seed=show.options.seed, num_probes=count)

    def of(count: int, size: int) -> int:
        """An automatic size may leave fewer probes at once; a fixed one says nothing of them."""
        return min(count, size) if task.room.automatic else count

    asked, failures = spared(
        "Questions to the classifier", lambda: task.room.within(lambda size: questioned(of(PROBES, size)), most=PROBES)
    )
    if any(finding.code == BATCH_DEPENDENT for finding in asked):
        return asked, {}, failures
    found, failed = spared("Questions to the attacks", lambda: outcome_findings(show.outcomes, attacks))
    if not show.probes:
        return [*asked, *found], {}, [*failures, *failed]
    looked, unseen = spared(
        "The closer look",
        lambda: [task.room.within(lambda size: trusted(of(show.probes, size)), most=show.probes)],
    )
    counted, uncounted = spared(
        "The count of what the closer look broke",
        lambda: [(name, outcome) for each in looked for name, outcome in _counted(show, task, each.ledger)],
    )
    closer = [finding for each in looked for finding in each.findings]
    return [*asked, *found, *closer], dict(counted), [*failures, *failed, *unseen, *uncounted]


def _counted(show: Show, task: Task, ledger: Ledger) -> Iterator[tuple[str, Outcome]]:
    """What the panel broke of what the attacks left, at each budget."""
    channels, norm = task.images.shape[1], named_norm(show.options.norm)
    settings = _in_ball(show, channels)
    for number, (name, eps) in enumerate(
        zip(panel_settings(show.options, channels), show.options.budgets(channels), strict=True)
    ):
        left = torch.stack([show.outcomes[each[number]].robust for each in settings]).all(dim=0) if settings else None
        outcome = None if left is None else panel_outcome(task, ledger, norm=norm, eps=eps, left=left)
        if outcome is not None:
            yield name, outcome


def _by_budget(show: Show, task: Task, panel: Mapping[str, Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each budget with the panel's; all of them where no attack is bounded by a norm."""
    channels = task.images.shape[1]
    settings = _in_ball(show, channels)
    if not settings:
        return {"under attack": list(show.outcomes.values())}
    return {
        f"{show.options.norm} {format_eps(eps)}": [
            *(show.outcomes[each[number]] for each in settings),
            *([panel[name]] if name in panel else []),
        ]
        for number, (name, eps) in enumerate(
            zip(panel_settings(show.options, channels), show.options.budgets(channels), strict=True)
        )
    }


def _in_ball(show: Show, channels: int) -> list[list[str]]:
    return [settings for name, settings in show.options.settings(channels).items() if attack_entry(name).norms]


def _of_classes(budgets: Mapping[str, list[Outcome]], classes: Sequence[str]) -> list[Panel]:
    name, largest = list(budgets.items())[-1]
    made = classes_panel(budgets, classes), became_panel(largest, classes, where=name)
    return [panel for panel in made if panel is not None]


def _bound(show: Show, task: Task) -> dict[str, Attack]:
    """The attacks by the names of their settings, each with its budget."""
    settings = show.options.settings(task.images.shape[1])
    attacks: dict[str, Attack] = {}
    for trial in show.trials:
        bound: list[Attack] = [trial.attack]
        if trial.budgets is not None:
            bound = [partial(trial.attack, eps=eps) for eps in trial.budgets]  # type: ignore[call-arg]
        attacks.update(zip(settings[trial.name], bound, strict=True))
    return attacks


def _curves(show: Show, task: Task) -> list[CurvePanel]:
    return curve_panels(
        task.classifier,
        show.some,
        show.trials,
        show.targets,
        norm=show.options.norm,
        points=show.points,
        room=task.room,
        left={
            name: int(show.outcomes[settings[-1]].robust.sum())
            for name, settings in show.options.settings(task.images.shape[1]).items()
        },
    )
