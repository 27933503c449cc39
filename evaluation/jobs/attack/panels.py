"""Panels of an attack's report: the table of attacks, accuracy over eps, and adversarial images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from advgan.data import ImageSet
from advgan.machine.room import Room
from attacks import Classifier
from evaluation.jobs.suites import attack_entry, format_eps
from evaluation.report.panels import CurvePanel, ImagePanel, Line, Series, TablePanel
from evaluation.report.pictures import Prediction, triplets_panel
from evaluation.report.text import UNKNOWN
from evaluation.under_attack.bound_attacks import option_of
from evaluation.under_attack.eps_curve import eps_curve
from evaluation.under_attack.outcomes import Outcome, bound, clean_outcome
from evaluation.under_attack.rows import PANEL
from evaluation.under_attack.trials import Trial, sweep

SHOWN = 6
"""Triplets of one attack."""
TRIPLETS = 6
"""Attacks of which triplets are shown, at most."""
CURVES = 4
"""Attacks in the curve, at most: the strongest of each kind, then the strongest of all."""


def curve_panels(
    classifier: Classifier,
    some: ImageSet,
    trials: Sequence[Trial],
    targets: Tensor | None,
    *,
    norm: str,
    points: int,
    room: Room,
    left: Mapping[str, int],
) -> list[CurvePanel]:
    """Accuracy against eps, to twice the budget: beyond it every attack should win in the end.

    Of controls and of attacks that use gradients; queries would take too long. `left` is how many images each attack
    leaves at its largest budget.
    """
    quick = [trial for trial in trials if trial.budgets and max(trial.budgets) > 0 and _is_quick(trial.name)]
    chosen = _strongest(quick, left)
    if points == 0 or not chosen:
        return []
    eps = max(chosen[0].budgets or ())
    budgets = [2 * eps * number / points for number in range(1, points + 1)]
    if norm == "linf":
        budgets = sorted({min(budget, 1.0) for budget in budgets})
    images, labels = some.unit(), some.labels
    clean = room.within(lambda size: clean_outcome(classifier, images, labels, batch_size=size))
    series = []
    for trial in chosen:
        aims = targets if bound(trial.attack, "targeted") else None
        swept = sweep(classifier, images, labels, trial.attack, budgets, targets=aims, clean=clean, batch_size=room)
        curve = eps_curve(swept)
        series.append(Series(name=trial.name, x=curve.eps, y=curve.robust_accuracy, low=curve.low, high=curve.high))
    return [
        CurvePanel(
            title="Accuracy against eps",
            section="Robustness",
            caption=f"{len(some):,} test images, {norm}; shaded: 95 % intervals. The budget of the table is "
            f"{format_eps(eps)}; a sound attack reaches 0 in the end.",
            x_label=f"eps ({norm})",
            y_label="accuracy",
            percent=True,
            series=tuple(series),
            lines=(Line("chance", 1 / some.num_classes),),
        )
    ]


def _strongest(trials: Sequence[Trial], left: Mapping[str, int]) -> list[Trial]:
    """The strongest control, single step and iterated attack, then the strongest of all, in the order of the trials.

    Of equals the later: suites go from weak to strong.
    """
    ranked = sorted(enumerate(trials), key=lambda pair: (left[pair[1].name], -pair[0]))
    kinds: dict[tuple[str, bool], int] = {}
    for number, trial in ranked:
        kinds.setdefault((attack_entry(trial.name).knowledge, _iterates(trial)), number)
    first = [*kinds.values(), *(number for number, _ in ranked if number not in kinds.values())][:CURVES]
    return [trials[number] for number in sorted(first)]


def _iterates(trial: Trial) -> bool:
    return (option_of(trial.attack, "steps") or 1) > 1


def triplet_panels(
    folder: Path, images: Tensor, outcomes: Mapping[str, Outcome], classes: tuple[str, ...], *, name: str = ""
) -> list[ImagePanel]:
    """Clean, perturbation and adversarial image, of samples that each attack fooled, one class after the other.

    A sample is shown once, with the first attack that has a place for it.
    """
    panels: list[ImagePanel] = []
    unseen = torch.ones(len(images), dtype=torch.bool)
    for setting, outcome in outcomes.items():
        if len(panels) == TRIPLETS:
            break
        chosen = _different_classes((outcome.success & unseen).nonzero().flatten(), outcome.clean.labels)
        if len(chosen) == 0:
            continue
        unseen[chosen] = False
        panels.append(
            triplets_panel(
                folder,
                images[chosen],
                outcome.adversarial[chosen],
                truth=[classes[label] for label in outcome.clean.labels[chosen]],
                before=_predictions(outcome.clean.logits[chosen], classes),
                after=_predictions(outcome.logits[chosen], classes),
                title=f"What fooled it: {setting}{name}",
                name=f"triplet-{setting}{name}".replace("/", "-").replace(" ", "-"),
                section="Robustness",
            )
        )
    return panels


def stages_panel(outcomes: Mapping[str, Outcome], *, cascade: bool) -> TablePanel:
    """A table of each attack's images, successes and passes."""
    rows = []
    for setting, outcome in outcomes.items():
        attacked, broken = int(outcome.attacked.sum()), int(outcome.success.sum())
        left = int((outcome.attacked & outcome.robust).sum())
        passes: list[float | str] = [
            round(float(passes[outcome.attacked].double().mean()), 1) if attacked else 0.0
            for passes in (outcome.forwards, outcome.backwards)
        ]
        if setting.startswith(PANEL):  # which asks surrogates as well, and does not count
            passes = [UNKNOWN, UNKNOWN]
        rows.append((setting, attacked, broken, left, *passes))
    return TablePanel(
        title="Stage by stage" if cascade else "Attack by attack",
        section="Robustness",
        caption=(
            "Each attack is given what those before it left; what is left after the last is the result."
            if cascade
            else "Each attack is given all images that are classified rightly."
        )
        + " Passes through the network are means over the images given.",
        columns=("attack", "given", "broken", "correct after", "forward passes", "backward passes"),
        rows=tuple(rows),
    )


def _is_quick(name: str) -> bool:
    entry = attack_entry(name)
    return entry.knowledge in ("none", "gradients") and entry.aim == "budget" and bool(entry.norms) and ":" not in name


def _different_classes(indices: Tensor, labels: Tensor) -> Tensor:
    """The first samples of as many classes as are shown, then the next of each."""
    seen: dict[int, int] = {}
    ranks = []
    for index in indices.tolist():
        label = int(labels[index])
        ranks.append((seen.get(label, 0), label, index))
        seen[label] = seen.get(label, 0) + 1
    return torch.tensor([index for _, _, index in sorted(ranks)[:SHOWN]], dtype=torch.int64)


def _predictions(logits: Tensor, classes: tuple[str, ...]) -> list[Prediction]:
    best = logits.softmax(dim=1).max(dim=1)
    return [Prediction(classes[label], float(value)) for value, label in zip(best.values, best.indices, strict=True)]
