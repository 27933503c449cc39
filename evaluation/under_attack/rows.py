"""The robustness of a classifier as scores: robust accuracy, perturbation sizes and passes, with intervals.

What needs torch is imported where it is used: `import evaluation` must stay quick for those who only read results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from evaluation.record.scores import Score, Scores, noted, score_rows

if TYPE_CHECKING:
    from torch import Tensor

    from advgan.machine.room import Room
    from attacks import Attack, Classifier
    from evaluation.statistics.intervals import Estimate
    from evaluation.under_attack.outcomes import Clean, Outcome

CLEAN, WORST_CASE, PANEL = "clean", "worst-case", "trust-panel"
_WILSON = "95 % Wilson interval"
_BOOTSTRAP = "95 % bootstrap interval"
EIGHT_BIT_NOTE = "; attacked within images of 8 bits"

Row = tuple[str, "Estimate", int, str]


def robustness(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    attacks: Mapping[str, Attack],
    *,
    targets: Tensor | None = None,
    cascade: bool = False,
    subject: str = "",
    data: str = "",
    batch_size: int | Literal["auto"] | Room = 256,
    eight_bit: bool = False,
    seed: int = 0,
) -> Scores:
    """Attack a classifier and score what is left of it.

    `images` are (N, C, H, W) in [0, 1], on any device, `labels` (N,) their true classes; arrays and lists of numbers
    become tensors. `attacks` maps the name of a setting, such as `pgd-linf-0.3`, to an attack that lacks no option.
    Only images that are classified correctly are attacked; with `cascade` each attack gets only those that the ones
    before it left, which gives the same worst case for less. `targets` (N,) go to the attacks that are bound with
    `targeted=True`; an attack of your own says by such a binding which it wants. With `eight_bit` only images of 8 bits
    count: each attack judges its success by the rounded image, and its result lies on the 256 levels, within the
    budget. The images themselves have to lie on them. `seed` is recorded, not used: an
    attack brings its own. The facts for each image, rather than their counts: `evaluation.under_attack.trials`.
    """
    from advgan.machine.precision import precision_note
    from advgan.machine.room import Room
    from attacks import check_images
    from attacks.arrays import as_tensor
    from evaluation.under_attack.outcomes import bound, clean_outcome
    from evaluation.under_attack.trials import attack_outcome, checked_targets
    from evaluation.under_attack.trials import cascade as in_a_row

    room, images, labels = Room.of(batch_size), as_tensor(images, "images"), as_tensor(labels, "labels")
    check_images(images)
    clean = room.within(lambda size: clean_outcome(classifier, images, labels, batch_size=size))
    targets = checked_targets(attacks.values(), clean.labels, targets)
    if cascade:
        outcomes = in_a_row(
            classifier, images, labels, attacks, targets=targets, clean=clean, batch_size=room, eight_bit=eight_bit
        )
    else:
        outcomes = {
            name: attack_outcome(
                classifier,
                images,
                labels,
                attack,
                targets=targets if bound(attack, "targeted") else None,
                clean=clean,
                batch_size=room,
                eight_bit=eight_bit,
            )
            for name, attack in attacks.items()
        }
    scores = outcome_scores(clean, outcomes, subject=subject or classifier.name, data=data, seed=seed)
    return Scores(noted(scores, precision_note(classifier.device) + EIGHT_BIT_NOTE * eight_bit))


def outcome_scores(
    clean: Clean,
    outcomes: Mapping[str, Outcome],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    panel: Mapping[str, Outcome] | None = None,
    subject: str = "",
    data: str = "",
    seed: int = 0,
) -> list[Score]:
    """Count the outcomes of attacks on the same images: accuracies over all of them, the rest over those attacked.

    `groups` name the settings over which a worst case is taken, image by image: an image counts as robust if no attack
    of the group broke it. None: one over all, from two attacks on. `panel` is what the trust panel did to what they
    left, by settings that groups may name: it has tried some of the images alone, so it has no accuracy of its own.
    """
    if groups is None:
        groups = {WORST_CASE: tuple(outcomes)} if len(outcomes) > 1 else {}
    rows = [(CLEAN, _clean_rows(clean))]
    rows += [(name, _attack_rows(outcome)) for name, outcome in outcomes.items()]
    panel = panel or {}
    rows += [(name, _panel_rows(outcome)) for name, outcome in panel.items()]
    for name, group in groups.items():
        own, beside = ([some[one] for one in group if one in some] for some in (outcomes, panel))
        rows.append((name, _worst_case_rows(clean, own, beside)))
    return [
        score
        for setting, found in rows
        for score in score_rows(found, subject=subject, data=data, setting=setting, seed=seed)
    ]


def _clean_rows(clean: Clean) -> list[Row]:
    from evaluation.statistics.intervals import rate

    return [("clean_accuracy", rate(clean.correct), len(clean.labels), f"share of all images; {_WILSON}")]


def _attack_rows(outcome: Outcome) -> list[Row]:
    from evaluation.statistics.intervals import bootstrap_mean, rate

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
    over = f"over the {attacked} images attacked ({_attacked_were(outcome)})"
    rows.append(("success_rate", rate(outcome.success[outcome.attacked]), attacked, f"share {aim}, {over}; {_WILSON}"))
    if fooled := int(outcome.success.sum()):
        size = f"size of the change, over the {fooled} of {attacked} images on which the attack succeeded; {_BOOTSTRAP}"
        rows += [
            ("mean_linf", bootstrap_mean(outcome.linf[outcome.success]), fooled, size),
            ("mean_l2", bootstrap_mean(outcome.l2[outcome.success]), fooled, size),
        ]
    once = f"network passes of the attack {over}, its success not yet measured; {_BOOTSTRAP}"
    return [
        *rows,
        ("forwards_per_image", bootstrap_mean(outcome.forwards[outcome.attacked]), attacked, once),
        ("backwards_per_image", bootstrap_mean(outcome.backwards[outcome.attacked]), attacked, once),
    ]


def _panel_rows(outcome: Outcome) -> list[Row]:
    from evaluation.statistics.intervals import rate

    tried, fooled = int(outcome.attacked.sum()), outcome.success[outcome.attacked]
    share = f"share no longer at the label, over the {tried} images that the attacks left and the trust panel tried"
    return [("success_rate", rate(fooled), tried, f"{share}; {_WILSON}")]


def _attacked_were(outcome: Outcome) -> str:
    whole = bool((outcome.attacked == outcome.clean.correct).all())
    return "correct before" if whole else "correct before, and not broken by an attack before this one"


def _worst_case_rows(clean: Clean, outcomes: Sequence[Outcome], panel: Sequence[Outcome] = ()) -> list[Row]:
    from evaluation.statistics.intervals import bootstrap_mean, rate

    robust, robust_8bit = left_by_all(clean, [*outcomes, *panel])
    success = ~clean.correct & False
    for outcome in (*outcomes, *panel):
        success |= outcome.success
    attacked, total = int(clean.correct.sum()), len(clean.labels)
    whom = _counted(outcomes) + " and the trust panel" * bool(panel)
    over = f"over {whom}, each image counted with the one that broke it"
    rows = [
        ("robust_accuracy", rate(robust), total, f"worst case {over}; share of all images; {_WILSON}"),
        ("robust_accuracy_8bit", rate(robust_8bit), total, f"the same, rounded to 8 bits; {_WILSON}"),
    ]
    if attacked:
        share = f"worst case {over}; share of the {attacked} images attacked; {_WILSON}"
        rows.append(("success_rate", rate(success[clean.correct]), attacked, share))
        spent = f"network passes of all {_counted(outcomes)} over the {attacked} images correct before; {_BOOTSTRAP}"
        for metric in ("forwards", "backwards"):
            passes = sum((getattr(outcome, metric) for outcome in outcomes), start=0 * outcomes[0].forwards)
            rows.append((f"{metric}_per_image", bootstrap_mean(passes[clean.correct]), attacked, spent))
    return rows


def left_by_all(clean: Clean, outcomes: Sequence[Outcome]) -> tuple[Tensor, Tensor]:
    """(N,) bool: right before and after every one of the attacks; the same after rounding to 8 bits."""
    robust, robust_8bit = clean.correct.clone(), clean.correct.clone()
    for outcome in outcomes:
        robust &= outcome.robust
        robust_8bit &= outcome.robust_8bit
    return robust, robust_8bit


def _counted(outcomes: Sequence[Outcome]) -> str:
    return f"{len(outcomes)} attack{'s' * (len(outcomes) != 1)}"
