"""The results of the demo's stages, and its verdict over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.jobs.setup import Outcome
from evaluation.record.scores import Score
from evaluation.report.panels import ImagePanel, Panel
from evaluation.report.text import format_value
from evaluation.under_attack.rows import WORST_CASE


@dataclass(frozen=True)
class Stage:
    """One stage of the loop: its folder in the run, and its results."""

    name: str
    outcome: Outcome

    @property
    def folder(self) -> Path:
        assert self.outcome.folder is not None
        return self.outcome.folder

    def score(self, metric: str, setting: str = "") -> Score:
        """The first score of that metric, and setting if one is named; `fd` is any `fd[name]`."""
        return self.found(metric, setting)[0]

    def found(self, metric: str, setting: str = "") -> list[Score]:
        """The scores of that metric; none where it could not be made."""
        return [
            score
            for score in self.outcome.results.scores
            if score.metric.partition("[")[0] == metric and setting in ("", score.setting)
        ]

    @property
    def worst(self) -> Score:
        """The robust accuracy in the worst case over all attacks."""
        return self.score("robust_accuracy", WORST_CASE)

    def panels(self, kind: type[Panel], *, section: str, limit: int = 1) -> list[Panel]:
        """The first panels of a kind, their pictures named from the folder above."""
        found = [panel for panel in self.outcome.results.panels if isinstance(panel, kind)][:limit]
        return [_moved(panel, self.folder.name, section) for panel in found]


def verdict(before: Stage, hardened: Stage, augmented: Stage) -> str:
    """The loop in one sentence, of the worst case as the numbers below it; a gain that may be chance is called so."""
    clean, worst, real, extra = (
        format_value(score) for score in (before.score("clean_accuracy"), before.worst, hardened.worst, augmented.worst)
    )
    first, second = hardened.worst, augmented.worst
    may_be_chance = first.low <= second.high and second.low <= first.high
    return (
        f"In the worst case attacks take the classifier from {clean} to {worst}; "
        f"hardened, {real} stay, and {extra} with the augmented set"
        f"{', a difference within the 95 % intervals.' if may_be_chance else '.'}"
    )


def why_struck(score: Score, stages: Sequence[Stage]) -> str:
    """The reason for which a score's stage struck it out; empty where it did not."""
    top = [each for stage in stages for each in stage.outcome.results.headline]
    return next((each.struck for each in top if each.value is score or each.value == score), "")


def _moved(panel: Panel, folder: str, section: str) -> Panel:
    if isinstance(panel, ImagePanel):
        items = tuple(replace(item, file=f"{folder}/{item.file}") for item in panel.items)
        return replace(panel, items=items, section=section)
    return replace(panel, section=section)
