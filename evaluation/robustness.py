"""The robustness of a classifier as scores: what is left of its accuracy, how much that took, and how sure we are.

What needs torch is imported where it is used: `import evaluation` must stay quick for those who only read results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evaluation.scores import Score, score_rows

if TYPE_CHECKING:
    from torch import Tensor

    from attacks import Attack, Classifier
    from evaluation.intervals import Estimate
    from evaluation.outcomes import Clean, Outcome

CLEAN, WORST_CASE = "clean", "worst-case"
_WILSON = "95 % Wilson interval"
_T = "95 % t interval"

Row = tuple[str, "Estimate", int, str]


def robustness(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attacks: Mapping[str, Attack],
    *,
    targets: Tensor | None = None,
    subject: str = "",
    data: str = "",
    batch_size: int = 256,
    seed: int = 0,
) -> list[Score]:
    """Attack a classifier and score what is left of it.

    `images` are (N, C, H, W) in [0, 1], on any device, `labels` (N,) their true classes. `attacks` maps the name of a
    setting, such as `pgd-linf-0.3`, to an attack that lacks no option. Only images that are classified correctly are
    attacked. `targets` (N,) go to the attacks that are bound with `targeted=True`. `seed` is recorded, not used: an
    attack brings its own. The facts for each image, rather than their counts: `evaluation.outcomes.attack_outcome`.
    """
    from evaluation.outcomes import attack_outcome, bound, clean_outcome

    clean = clean_outcome(classifier, images, labels, batch_size=batch_size)
    outcomes = {
        name: attack_outcome(
            classifier,
            images,
            labels,
            attack,
            targets=targets if bound(attack, "targeted") else None,
            clean=clean,
            batch_size=batch_size,
        )
        for name, attack in attacks.items()
    }
    return outcome_scores(clean, outcomes, subject=subject or classifier.name, data=data, seed=seed)


def outcome_scores(
    clean: Clean, outcomes: Mapping[str, Outcome], *, subject: str = "", data: str = "", seed: int = 0
) -> list[Score]:
    """Count the outcomes of attacks on the same images: accuracies over all of them, the rest over those attacked.

    From two attacks on there is a worst case, in which an image counts as robust if no attack broke it.
    """
    groups = [(CLEAN, _clean_rows(clean))]
    groups += [(name, _attack_rows(outcome)) for name, outcome in outcomes.items()]
    if len(outcomes) > 1:
        groups.append((WORST_CASE, _worst_case_rows(clean, outcomes)))
    return [
        score
        for setting, rows in groups
        for score in score_rows(rows, subject=subject, data=data, setting=setting, seed=seed)
    ]


def _clean_rows(clean: Clean) -> list[Row]:
    from evaluation.intervals import rate

    return [("clean_accuracy", rate(clean.correct), len(clean.labels), f"share of all images; {_WILSON}")]


def _attack_rows(outcome: Outcome) -> list[Row]:
    from evaluation.intervals import Estimate, mean, rate

    attacked, total = int(outcome.attacked.sum()), len(outcome.clean.labels)
    aim = "no longer at the label" if outcome.targets is None else "at the target"
    rows = [
        ("robust_accuracy", rate(outcome.robust), total, f"share of all images, correct before and after; {_WILSON}"),
        (
            "robust_accuracy_8bit",
            rate(outcome.robust_8bit),
            total,
            f"the same with the attacked images rounded to 8 bits; {_WILSON}",
        ),
    ]
    if attacked == 0:
        return rows
    unknown = float("nan")
    over = f"over the {attacked} images attacked (correct before)"
    once = f"network passes of the attack {over}, its success not yet measured"
    return [
        *rows,
        ("success_rate", rate(outcome.success[outcome.attacked]), attacked, f"share {aim}, {over}; {_WILSON}"),
        ("mean_linf", mean(outcome.linf[outcome.attacked]), attacked, f"size of the change {over}; {_T}"),
        ("mean_l2", mean(outcome.l2[outcome.attacked]), attacked, f"size of the change {over}; {_T}"),
        ("forwards_per_image", Estimate(outcome.forwards / attacked, unknown, unknown), attacked, once),
        ("backwards_per_image", Estimate(outcome.backwards / attacked, unknown, unknown), attacked, once),
    ]


def _worst_case_rows(clean: Clean, outcomes: Mapping[str, Outcome]) -> list[Row]:
    from evaluation.intervals import rate

    robust, robust_8bit, success = clean.correct.clone(), clean.correct.clone(), ~clean.correct & False
    for outcome in outcomes.values():
        robust &= outcome.robust
        robust_8bit &= outcome.robust_8bit
        success |= outcome.success
    attacked, total = int(clean.correct.sum()), len(clean.labels)
    over = f"over {len(outcomes)} attacks, each image counted with the one that broke it"
    rows = [
        ("robust_accuracy", rate(robust), total, f"worst case {over}; share of all images; {_WILSON}"),
        ("robust_accuracy_8bit", rate(robust_8bit), total, f"the same, rounded to 8 bits; {_WILSON}"),
    ]
    if attacked:
        share = f"worst case {over}; share of the {attacked} images attacked; {_WILSON}"
        rows.append(("success_rate", rate(success[clean.correct]), attacked, share))
    return rows
