"""Robust accuracy by class, and the classes that adversarial images of each class are predicted as."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evaluation.report.panels import BarPanel, Bars, TablePanel
from evaluation.statistics.intervals import wilson
from evaluation.under_attack.outcomes import Outcome

MOST = 20
"""Classes that are shown, at most: those with the lowest accuracy, or the most broken images."""
BUDGETS = 3
"""Budgets beside the clean accuracy, at most."""
NAMED = 4
"""Predicted classes of adversarial images named in a row, at most."""


def classes_panel(budgets: Mapping[str, Sequence[Outcome]], classes: Sequence[str]) -> BarPanel | None:
    """Accuracy by class, clean and in the worst case of each budget; None where no image has a class of its own.

    `budgets` maps what the worst case is called to the outcomes that it is over.
    """
    names = list(budgets)[:BUDGETS]
    clean = next(iter(budgets.values()))[0].clean
    worst = {name: _worst(budgets[name]) for name in names}
    present = clean.labels.unique().tolist()
    if len(present) < 2:
        return None
    last = worst[names[-1]]
    shown = sorted(sorted(present, key=lambda label: float(last[clean.labels == label].double().mean()))[:MOST])
    left_out = f" The {MOST} lowest of {len(present)} classes are shown." if len(present) > MOST else ""
    return BarPanel(
        title="Accuracy by class",
        section="Robustness",
        caption=f"{len(clean.labels):,} test images; 95 % intervals (Wilson) over the images of the class.{left_out}",
        categories=tuple(classes[label] for label in shown),
        series=tuple(
            _bars(name, right, clean.labels, shown) for name, right in {"clean": clean.correct, **worst}.items()
        ),
        x_label="class",
        y_label="accuracy",
        percent=True,
    )


def became_panel(outcomes: Sequence[Outcome], classes: Sequence[str], *, where: str) -> TablePanel | None:
    """Which classes the broken images of each class became; None where none was broken.

    Each image counts once, with the answer to the first attack that broke it.
    """
    clean, answers = outcomes[0].clean, first_answers(outcomes)
    broken = answers >= 0
    counts = {label: int((broken & (clean.labels == label)).sum()) for label in clean.labels.unique().tolist()}
    shown = sorted(sorted((label for label in counts if counts[label]), key=lambda label: -counts[label])[:MOST])
    if not shown:
        return None
    rows = [
        (
            classes[label],
            int((clean.correct & (clean.labels == label)).sum()),
            counts[label],
            _became(answers[broken & (clean.labels == label)], classes),
        )
        for label in shown
    ]
    return TablePanel(
        title="What broken images became",
        section="Robustness",
        caption=f"The classes in which {int(broken.sum()):,} images ended, {where}; each counts once, with the answer "
        "to the first attack that broke it.",
        columns=("class", "correct before", "broken", "became"),
        rows=tuple(rows),
    )


def first_answers(outcomes: Sequence[Outcome]) -> Tensor:
    """(N,) the class in which the first attack that broke each image ended; -1 where none did."""
    answers = torch.full_like(outcomes[0].clean.labels, -1)
    for outcome in outcomes:
        taken = outcome.attacked & ~outcome.robust & (answers < 0)
        answers = torch.where(taken, outcome.predictions, answers)
    return answers


def _worst(outcomes: Sequence[Outcome]) -> Tensor:
    return torch.stack([outcome.robust for outcome in outcomes]).all(dim=0)


def _bars(name: str, right: Tensor, labels: Tensor, shown: Sequence[int]) -> Bars:
    counts = [(int(right[labels == label].sum()), int((labels == label).sum())) for label in shown]
    bounds = [wilson(*each) for each in counts]
    return Bars(
        name=name,
        values=tuple(hits / total for hits, total in counts),
        low=tuple(low for low, _ in bounds),
        high=tuple(high for _, high in bounds),
    )


def _became(answers: Tensor, classes: Sequence[str]) -> str:
    ranked = Counter(answers.tolist()).most_common()
    named = [f"{classes[label]} ({count})" for label, count in ranked[:NAMED]]
    rest = sum(count for _, count in ranked[NAMED:])
    return ", ".join(named + [f"others ({rest})"] * bool(rest))
