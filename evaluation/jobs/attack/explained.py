"""What stands beside the scores of an attack: what speaks against them, and what fooled the classifier, in pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from advgan.data import ImageSet
from attacks import Attack
from evaluation.jobs.afterwards import spared
from evaluation.jobs.attack.panels import curve_panels, stages_panel, triplet_panels
from evaluation.jobs.setup import log
from evaluation.jobs.suites import AttackOptions
from evaluation.record.findings import Finding
from evaluation.report.panels import CurvePanel, Panel
from evaluation.report.results import Results
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.classifier_findings import PROBES, classifier_findings
from evaluation.under_attack.outcomes import Outcome
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import Trial
from evaluation.under_attack.trust import trust_findings


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


def explained(results: Results, show: Show, task: Task, folder: Path) -> Results:
    """The same with findings and panels, made in the room that the attacks had; one that fails becomes a finding."""
    outcomes, classes = show.outcomes, show.some.classes
    asked = _asked(show, task)
    for finding in (one for found, _ in asked for one in found):
        if finding.level == "warning":
            log.warning("Warning: %s. %s", finding.title, finding.evidence)
    drawn: list[tuple[list[Panel], list[Finding]]] = [
        spared("The table of the attacks", lambda: [stages_panel(outcomes, cascade=show.options.cascade)]),
        spared("The curve over eps", lambda: _curves(show, task)),
        spared("Pictures of what fooled it", lambda: triplet_panels(folder, task.images, outcomes, classes)),
    ]
    failed = (one for _, missing in (*asked, *drawn) for one in missing)
    return replace(
        results,
        findings=(*(one for found, _ in asked for one in found), *failed),
        panels=tuple(panel for panels, _ in drawn for panel in panels),
    )


def _asked(show: Show, task: Task) -> list[tuple[list[Finding], list[Finding]]]:
    """What speaks against the numbers: of the classifier, of the attacks, and of both under a closer look."""
    attacks, known = _bound(show, task), (task.classifier, task.images, task.clean.labels, task.clean)

    def questioned(count: int) -> list[Finding]:
        return classifier_findings(*known, attacks=attacks, num_probes=count)

    def trusted(count: int) -> list[Finding]:
        return trust_findings(*known, show.outcomes, attacks, seed=show.options.seed, num_probes=count)

    def of(count: int, size: int) -> int:
        """An automatic size may leave fewer probes at once; a fixed one says nothing of them."""
        return min(count, size) if task.room.automatic else count

    return [
        spared(
            "Questions to the classifier",
            lambda: task.room.within(lambda size: questioned(of(PROBES, size)), most=PROBES),
        ),
        spared("Questions to the attacks", lambda: outcome_findings(show.outcomes, attacks)),
        spared(
            "The closer look",
            lambda: (
                task.room.within(lambda size: trusted(of(show.probes, size)), most=show.probes) if show.probes else ()
            ),
        ),
    ]


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
    )
