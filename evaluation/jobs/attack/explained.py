"""The report of an attack beside its scores: findings on their validity, and pictures of adversarial images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from advgan.data import ImageSet
from evaluation.jobs.afterwards import spared
from evaluation.jobs.attack.classes import became_panel, classes_panel
from evaluation.jobs.attack.panels import curve_panels, stages_panel, triplet_panels
from evaluation.jobs.attack.questions import Tried, in_ball, questioned
from evaluation.jobs.attack.summary import panel_settings
from evaluation.jobs.setup import log
from evaluation.jobs.suites import format_eps
from evaluation.record.findings import Finding
from evaluation.report.panels import CurvePanel, Panel
from evaluation.report.results import Results
from evaluation.under_attack.outcomes import Outcome
from evaluation.under_attack.search import Task


@dataclass(frozen=True)
class Show:
    """The attacks that were run, and the images for the panels of the report."""

    tried: Tried
    some: ImageSet
    """For the curve over eps."""
    targets: Tensor | None
    """(N,) target classes of `some` for targeted attacks, else None."""
    points: int


Measured = Callable[[Mapping[str, Outcome], Sequence[Finding]], Results]
"""Make the results from the trust panel's outcomes, by setting, and from all findings."""


def explained(measured: Measured, show: Show, task: Task, folder: Path) -> Results:
    """What was measured with findings and panels, made in the room that the attacks had.

    A panel that fails becomes a finding. Images that the trust panel breaks count and are shown like other attacks'.
    """
    findings, panel, failed = questioned(show.tried, task)
    for finding in findings:
        if finding.level == "warning":
            log.warning("Warning: %s. %s", finding.title, finding.evidence)
    outcomes, classes = {**show.tried.outcomes, **panel}, show.some.classes
    drawn: list[tuple[list[Panel], list[Finding]]] = [
        spared("The table of the attacks", lambda: [stages_panel(outcomes, cascade=show.tried.options.cascade)]),
        spared("The accuracy by class", lambda: _of_classes(_by_budget(show.tried, task, panel), classes)),
        spared("The curve over eps", lambda: _curves(show, task)),
        spared("Pictures of what fooled it", lambda: triplet_panels(folder, task.images, outcomes, classes)),
    ]
    failed = [*failed, *(one for _, missing in drawn for one in missing)]
    results = measured(panel, [*findings, *failed])
    return replace(results, panels=tuple(panel for panels, _ in drawn for panel in panels))


def _by_budget(tried: Tried, task: Task, panel: Mapping[str, Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each budget with the panel's; all of them where no attack is bounded by a norm."""
    channels = task.images.shape[1]
    settings = in_ball(tried, channels)
    if not settings:
        return {"under attack": list(tried.outcomes.values())}
    return {
        f"{tried.options.norm} {format_eps(eps)}": [
            *(tried.outcomes[each[number]] for each in settings),
            *([panel[name]] if name in panel else []),
        ]
        for number, (name, eps) in enumerate(
            zip(panel_settings(tried.options, channels), tried.options.budgets(channels), strict=True)
        )
    }


def _of_classes(budgets: Mapping[str, list[Outcome]], classes: Sequence[str]) -> list[Panel]:
    name, largest = list(budgets.items())[-1]
    made = classes_panel(budgets, classes), became_panel(largest, classes, where=name)
    return [panel for panel in made if panel is not None]


def _curves(show: Show, task: Task) -> list[CurvePanel]:
    return curve_panels(
        task.classifier,
        show.some,
        show.tried.trials,
        show.targets,
        norm=show.tried.options.norm,
        points=show.points,
        room=task.room,
        left={
            name: int(show.tried.outcomes[settings[-1]].robust.sum())
            for name, settings in show.tried.options.settings(task.images.shape[1]).items()
        },
    )
