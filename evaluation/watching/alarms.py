"""Alarms of a GAN's training: pure functions of the looks at it, so that a resumed run raises the same ones.

A single look is noisy, and the first ones see an untrained generator; so each alarm needs its signal in several
consecutive looks. An alarm warns and never stops a run: of the published logs of nine runs that ended at twice their
best distance, two had a saturated discriminator before their best.
"""

from collections.abc import Callable, Sequence
from statistics import median

from advgan.gan.losses import LOSSES
from evaluation.game.bounds import FARTHER, HOPPING, SHIFTED, UNHEARD, VANISHED
from evaluation.game.discriminator_findings import CONSTANT, OVERFITTING, SATURATED, dead, overfitting, saturated
from evaluation.game.look_history import CERTAIN, LASTING, History, Row, value_of
from evaluation.record.findings import Finding

WON = 0.05
"""Share of its equilibrium value below which the discriminator counts as saturated: a loss of 0.07 instead of 1.39."""
COLLAPSED = 0.5
"""Mean distance of two fakes over that of two real images, below which the generator counts as collapsed."""
REPEATED = 0.25
"""The same within a class; lower, since it is noisier."""
GROWING = 1.2
"""Factor by which diversity must rise over the last looks to count as still increasing."""
NONE = 0.02
"""Diversity up to which a rise does not count: for a constant generator it is only rounding."""
STRAYS = 0.02
"""Share of all images that is ignored where covered classes are counted: images that are misclassified or of no class.
Otherwise a generator of two modes would count as covering seven classes."""
MISSING = 0.5
"""Share of the classes that real images fall into, but for as many strays, below which a generator counts as stuck."""
COPIED = 0.2
"""Share of fakes nearer to a training image than 99 % of held-out images are, above which fakes count as copies."""
EXPLODED = 100.0
"""Ratio of a gradient norm to its median so far; Adam's normalisation delays the effect on the weights."""
UNCHANGED = 1e-5
"""Change of an image's mean pixel in [0, 1] from look to look, 1/400 of a grey level."""

Alarm = Callable[[History], Finding | None]


def alarms(looks: Sequence[Row], *, loss: str) -> list[Finding]:
    """The alarms that the last look raises; `loss` is the adversarial loss (a name of LOSSES)."""
    found = [alarm(History(looks, loss)) for alarm in ALARMS]
    return [finding for finding in found if finding is not None]


def raised(looks: Sequence[Row], *, loss: str) -> list[tuple[int, Finding]]:
    """Each kind of alarm once, with the step at which it was first raised, in that order."""
    first: dict[str, tuple[int, Finding]] = {}
    for end in range(1, len(looks) + 1):
        for finding in alarms(looks[:end], loss=loss):
            first.setdefault(finding.code, (looks[end - 1]["step"], finding))
    return list(first.values())


def exhausted(distances: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` looks were no better than one before them; never with None.

    Ten looks lost nothing in the published logs of five runs that collapsed, and stopped none of four that did not;
    five would have stopped two of those four too soon.
    """
    if patience is None or len(distances) <= patience:
        return False
    return min(distances[-patience:]) >= min(distances[:-patience])


def _saturated(history: History) -> Finding | None:
    apart = history.last(LASTING, "discriminator", "real_fake_separation")
    losses = history.last(LASTING, "discriminator_loss")
    equilibrium = LOSSES[history.loss].discriminator_equilibrium
    if history.loss == "wasserstein":  # a critic has no loss at which it has won
        return None
    if not apart or not losses or min(apart) < SATURATED or max(losses) >= WON * equilibrium:
        return None
    return saturated(
        f"In {LASTING} looks on end it ranked a held-out real image above a fake one in at least {min(apart):.1%} of "
        f"all pairs, and its loss was {losses[-1]:.3g}, at equilibrium {equilibrium:.3g}."
    )


def _dead(history: History) -> Finding | None:
    spread = history.last(CERTAIN, "discriminator", "logit_spread")
    if not spread or max(spread) >= CONSTANT:
        return None
    return dead(f"In {CERTAIN} looks on end its logits differed by at most {max(spread):.2g} between all images.")


def _overfitting(history: History) -> Finding | None:
    memory = history.last(LASTING, "discriminator", "train_held_out_separation")
    if not memory or min(memory) <= OVERFITTING:
        return None
    return overfitting(
        f"In {LASTING} looks on end it ranked a training image above a held-out one in at least {min(memory):.1%} of "
        "all pairs."
    )


def _vanishing(history: History) -> Finding | None:
    norms = history.last(CERTAIN, "generator_gradient")
    heard = history.last(LASTING, "discriminator", "minimax_weight") if history.loss == "minimax" else None
    if norms and max(norms) < VANISHED:
        evidence = f"The norm of its whole gradient was at most {max(norms):.2g} in {CERTAIN} looks on end."
    elif heard and max(heard) < UNHEARD:
        evidence = f"D(G(z)), the weight of a fake in its gradient, was at most {max(heard):.2g} for {LASTING} looks."
    else:
        return None
    return Finding(
        "warning",
        "The generator's gradient vanishes",
        evidence,
        "It learns nothing more: use the non-saturating or hinge loss, or weaken the discriminator.",
        code="vanishing-gradient",
    )


def _collapsed(history: History) -> Finding | None:
    kinds = (("diversity", COLLAPSED, "images"), ("class_diversity", REPEATED, "images of one class"))
    varied = history.late.last(LASTING, "generator", "diversity")
    young = history.nears and varied is not None and varied[-1] < COLLAPSED  # slow, not one image for each class
    for name, bound, what in kinds:
        values = history.late.last(LASTING, "generator", name)
        if values and max(values) < bound and not (_climbs(values) or young):
            return Finding(
                "warning",
                "The generator has lost its diversity",
                f"Two generated {what} are {values[-1]:.2f} times as far apart as two real ones, below {bound:g} in "
                f"{LASTING} looks on end.",
                "It draws few images over and over: lower the learning rates, use larger batches, packing or minibatch "
                "discrimination.",
                code="diversity-collapse",
            )
    return None


def _stuck(history: History) -> Finding | None:
    drawn = [row.get("mode_counts") or [] for row in history.late.looks[-LASTING:]]
    if len(drawn) < LASTING or not all(drawn):
        return None
    filled = [_filled(counts) for counts in drawn]
    needed = _filled(history.looks[-1].get("real_mode_counts") or [1] * len(drawn[-1]))
    varied = history.late.last(LASTING, "generator", "diversity")
    if max(filled) >= MISSING * needed or filled[-1] > filled[0] or (varied and _climbs(varied)) or history.nears:
        return None
    return Finding(
        "warning",
        "The generator is stuck on a few classes",
        f"{1 - STRAYS:.0%} of its images fell into {max(filled)} class(es) at most, {LASTING} looks on end; as many of "
        f"the real ones fall into {needed}.",
        "It has dropped modes: use larger batches, packing, another loss, or class conditions.",
        code="missing-modes",
    )


def _hopping(history: History) -> Finding | None:
    moved = history.last(LASTING, "mode_variation")
    distances = [row["distance"] for row in history.looks]
    if not moved or min(moved) < HOPPING or min(distances[-LASTING:]) < min(distances[:-LASTING], default=0.0):
        return None
    return Finding(
        "warning",
        "The generator hops between modes",
        f"From look to look {min(moved):.0%} to {max(moved):.0%} of the same latents changed class, {LASTING} times on "
        "end, while the distance did not fall.",
        "The players chase each other: lower the learning rates or beta1, or add a gradient penalty.",
        code="mode-hopping",
    )


def _broken_batch_norm(history: History) -> Finding | None:
    shifts = history.last(CERTAIN, "generator", "train_mode_shift")
    evals = history.last(CERTAIN, "generator", "eval_mode_gap")
    trains = history.last(CERTAIN, "generator", "train_mode_gap")
    if not shifts or not evals or not trains or min(shifts) < SHIFTED:
        return None
    if any(wrong < FARTHER * right for wrong, right in zip(evals, trains, strict=True)):
        return None
    return Finding(
        "warning",
        "Batch norm is broken in eval mode",
        f"The same latents look different in eval mode (by {shifts[-1]:.2f} distances of two real images) and are "
        f"{evals[-1] / max(trains[-1], 1e-12):.1f} times as far from real ones as in train mode.",
        "The running statistics do not fit the weights: check their momentum and how the average takes them over.",
        code="broken-batch-norm",
    )


def _copying(history: History) -> Finding | None:
    shares = history.last(CERTAIN, "generator", "copied_share")
    if not shares or min(shares) < COPIED:
        return None
    return Finding(
        "warning",
        "The generator copies training images",
        f"{shares[-1]:.0%} of its images are nearer to a training image than 99 % of held-out ones are.",
        "Its scores say nothing of new images: stop earlier, augment, or use more images.",
        code="memorised-data",
    )


def _exploding(history: History) -> Finding | None:
    for path, what in (
        (("generator_gradient",), "The norm of the generator's gradient"),
        (("discriminator_gradient",), "The norm of the discriminator's gradient"),
        (("discriminator", "r1"), "The squared gradient at real images (R1)"),
    ):
        values = [value for row in history.looks if (value := value_of(row, path)) is not None]
        if len(values) < LASTING + CERTAIN:
            continue
        usual = median(values[:-CERTAIN])
        if min(values[-CERTAIN:]) > EXPLODED * usual:
            return Finding(
                "warning",
                "Gradients explode",
                f"{what} is {values[-1]:.3g}, {values[-1] / usual if usual else float('inf'):.3g} times its median.",
                "Divergence is near: lower the learning rates, or add R1 or a gradient penalty.",
                code="exploding-gradients",
            )
    return None


def _frozen(history: History) -> Finding | None:
    changes = history.last(CERTAIN, "generator", "change")
    if not changes or max(changes) >= UNCHANGED:
        return None
    return Finding(
        "warning",
        "The generator does not change",
        f"The mean pixel of its images moved by at most {max(changes):.1g} between {CERTAIN + 1} looks.",
        "It is frozen, or its learning rate is too small: check generator_learning_rate and average_decay.",
        code="frozen-generator",
    )


ALARMS: tuple[Alarm, ...] = (
    _saturated,
    _dead,
    _overfitting,
    _vanishing,
    _collapsed,
    _stuck,
    _hopping,
    _broken_batch_norm,
    _copying,
    _exploding,
    _frozen,
)


def _climbs(diversities: Sequence[float]) -> bool:
    """Whether the generator's diversity is still increasing."""
    return diversities[-1] > max(NONE, GROWING * diversities[0])


def _filled(counts: Sequence[int]) -> int:
    """The fewest classes that hold all images but stray ones."""
    held, wanted = 0, (1 - STRAYS) * sum(counts)
    for number, count in enumerate(sorted(counts, reverse=True)):
        if held >= wanted:
            return number
        held += count
    return len(counts)
