"""Findings on a GAN's game from the rows of `game_rows`; each needs its whole interval beyond a threshold."""

import math
from collections.abc import Iterable, Mapping

from evaluation.features.seen import Row
from evaluation.game.bounds import FARTHER, HOPPING, SHIFTED, UNHEARD, VANISHED
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

UNCALIBRATED = 0.25
"""Calibration error from which probabilities mislead: in a moving game the discriminator always lags somewhat, and
healthy ones were off by up to 0.21."""
LIPSCHITZ = (0.5, 1.5)
"""Mean slope of a critic whose estimate still passes for one of the distance."""
STEEP = 127.5**2
"""Mean squared gradient norm in signed pixels at which one grey level of 255, in the steepest direction, moves the
logit by 1."""
MISTAKEN = 0.5
"""Share of the way to the fakes at which held-out images count as taken for them."""
DISJOINT = 0.95 * math.log(2)
"""Divergence from which real and generated images have next to nothing in common."""
LAZY = 0.2
"""Nats by which a new discriminator must see more than the GAN's own."""
FOUND_OUT = -0.05 * math.log(2)
"""Value of the halved game against the worst discriminator from which it sorts nearly everything; the best is 0."""
CIRCLES = 0.5
CHANCE = 0.01
"""Autocorrelation of a game that goes in circles, and how rarely chance may give it."""
GROWN = 3.0
"""Factor of a layer's largest singular value over its median in the looks before."""
LAGGING = 0.5
"""Distance of averaged and live images of the same latents, in distances of two real images."""

Known = Mapping[str, Estimate]


def game_findings(rows: Iterable[Row], *, loss: str) -> list[Finding]:
    """Every verdict that these rows give cause for; `loss` names the entry of LOSSES. Healthy games give none.

    What was not measured gives no verdict, and an interval that is unknown is no evidence.
    """
    known = {word: estimate for word, estimate, _, _ in rows}
    found = [
        _uncalibrated(known),
        _slope(known, loss),
        _steep(known),
        _mistaken(known),
        _vanishing(known, loss),
        _broken(known),
        _disjoint(known),
        _lazy(known),
        _found_out(known),
        _hopping(known),
        _circles(known),
        _growing(known),
        _batch_norm(known),
        _lagging(known),
    ]
    return [finding for finding in found if finding is not None]


def _uncalibrated(known: Known) -> Finding | None:
    error = known.get("discriminator_calibration_error")
    if error is None or not error.low > UNCALIBRATED:
        return None
    return _warning(
        "The discriminator's probabilities are none",
        f"On held-out images and fakes sigmoid(logit) misses the share of real images by {_span(error)} on average.",
        "Do not read its odds, nor sample by rejection with them; a gradient penalty, label smoothing or fewer steps "
        "keep it modest.",
        "uncalibrated-discriminator",
    )


def _slope(known: Known, loss: str) -> Finding | None:
    slope = known.get("lipschitz_mean")
    if loss != "wasserstein" or slope is None or not (slope.low > LIPSCHITZ[1] or slope.high < LIPSCHITZ[0]):
        return None
    return _warning(
        "The critic's slope is not 1",
        f"Its gradient norm between real and fake images is {_span(slope)} on average.",
        "Its loss is no Wasserstein distance: read wasserstein_over_slope, raise the gradient penalty, or give the "
        "critic more steps.",
        "critic-slope",
    )


def _steep(known: Known) -> Finding | None:
    for word, where in (("r1", "training images"), ("r2", "fakes")):
        squared = known.get(word)
        if squared is not None and squared.low > STEEP:
            return _warning(
                "The discriminator is too steep",
                f"Its mean squared gradient norm at {where} is {_span(squared)}: one grey level can move its logit "
                "by more than 1.",
                "Explosions come before divergence: add R1 or a gradient penalty, or lower its learning rate.",
                "steep-discriminator",
            )
    return None


def _mistaken(known: Known) -> Finding | None:
    share, signs = known.get("overfitting_share"), known.get("overfitting_signs")
    if share is None or not share.low > MISTAKEN:
        return None
    beside = f" The mean sign at training images is {_span(signs)}." if signs else ""
    return _warning(
        "The discriminator takes held-out images for fakes",
        f"They lie {_span(share)} of the way from training images to fakes (r_v).{beside}",
        "It knows its images by heart: augment, use more images, or stop earlier.",
        "held-out-taken-for-fakes",
    )


def _vanishing(known: Known, loss: str) -> Finding | None:
    norm, weight = known.get("generator_gradient"), known.get("minimax_weight")
    if norm is not None and norm.high < VANISHED:
        evidence = f"The norm of its whole gradient is {_span(norm)}."
    elif loss == "minimax" and weight is not None and weight.high < UNHEARD:
        evidence = f"D(G(z)), the weight of a fake in its gradient, is {_span(weight)}."
    else:
        return None
    return _warning(
        "The generator's gradient vanishes",
        evidence,
        "It learns nothing more: use the non-saturating or hinge loss, or weaken the discriminator.",
        "vanishing-gradient",
    )


def _broken(known: Known) -> Finding | None:
    count = known.get("broken_gradients")
    if count is None or count.value == 0:
        return None
    return _warning(
        "Gradients are no numbers",
        f"{count.value:.0f} entries of the players' gradients are NaN or infinite.",
        "Go back to an earlier checkpoint and lower the learning rates.",
        "broken-gradients",
    )


def _disjoint(known: Known) -> Finding | None:
    fresh = known.get("jsd_fresh")
    if fresh is None or not fresh.low > DISJOINT:
        return None
    return _warning(
        "A new discriminator tells all images apart",
        f"Trained against the frozen generator it bounds the divergence by {_span(fresh)} nats of {math.log(2):.3f}.",
        "Real and generated images have next to nothing in common for it, whatever the GAN's own discriminator says: "
        "train longer, or use a larger generator.",
        "disjoint-images",
    )


def _lazy(known: Known) -> Finding | None:
    fresh, own = known.get("jsd_fresh"), known.get("jsd_own")
    if fresh is None or own is None or not fresh.low > own.high + LAZY:
        return None
    return Finding(
        "info",
        "The discriminator is lazy",
        f"It bounds the divergence by {_span(own)} nats, a new one of its kind by {_span(fresh)}.",
        "Do not read progress off its loss; more of its steps, or a higher learning rate, would teach the generator "
        "more.",
        code="lazy-discriminator",
    )


def _found_out(known: Known) -> Finding | None:
    gap, worst = known.get("duality_gap"), known.get("minimax_loss")
    if gap is None or worst is None or not (worst.low > FOUND_OUT and gap.low > math.log(2) / 2):
        return None
    return _warning(
        "The game is far from an equilibrium",
        f"The duality gap is {_span(gap)} nats; against the worst discriminator the game is worth {_span(worst)}, "
        f"with a perfect generator {-math.log(2):.3f}.",
        "The generator has collapsed or not converged: look at modes and distances, and train on from an earlier "
        "checkpoint with lower learning rates.",
        "large-duality-gap",
    )


def _hopping(known: Known) -> Finding | None:
    moved = known.get("mode_hopping")
    if moved is None or not moved.low > HOPPING:
        return None
    return _warning(
        "The generator hops between modes",
        f"From snapshot to snapshot {_span(moved)} of its images change class.",
        "The players chase each other: lower the learning rates or beta1, or add a gradient penalty.",
        "mode-hopping",
    )


def _circles(known: Known) -> Finding | None:
    found, chance = known.get("oscillation"), known.get("oscillation_p_value")
    if found is None or chance is None or found.value < CIRCLES or not chance.high < CHANCE:
        return None
    return _warning(
        "The game goes in circles",
        f"D(x) - D(G(z)) repeats itself with a correlation of {found.value:.2f}, p = {_span(chance)}.",
        "Lower the learning rates or beta1, add a gradient penalty, or sample from a longer average.",
        "oscillating-game",
    )


def _growing(known: Known) -> Finding | None:
    for player in ("generator", "discriminator"):
        found = known.get(f"singular_value_growth[{player}]")
        if found is not None and not found.value <= GROWN:
            return _warning(
                f"The {player}'s weights grow suddenly",
                f"A layer's largest singular value is {found.value:.3g} times its median in the looks before.",
                "Collapse often follows: go back to an earlier checkpoint, lower the learning rates, or add spectral "
                "normalisation.",
                "growing-spectrum",
            )
    return None


def _batch_norm(known: Known) -> Finding | None:
    shift, wrong, right = (known.get(word) for word in ("train_mode_shift", "eval_mode_gap", "train_mode_gap"))
    if shift is None or wrong is None or right is None or not (shift.low > SHIFTED and wrong.low > right.high):
        return None
    if wrong.value < FARTHER * right.value:
        return None
    return _warning(
        "Batch norm is broken in eval mode",
        f"The same latents are {_span(shift)} distances of two real images apart in eval and train mode, and eval mode "
        f"is {_span(wrong)} from the real mean, train mode {_span(right)}.",
        "The running statistics do not fit the weights: check their momentum and how the average takes them over.",
        "broken-batch-norm",
    )


def _lagging(known: Known) -> Finding | None:
    shift, average, live = (known.get(word) for word in ("live_shift", "eval_mode_gap", "live_gap"))
    if shift is None or average is None or live is None or not (shift.low > LAGGING and average.low > live.high):
        return None
    return _warning(
        "The averaged generator lags behind",
        f"Its images are {_span(shift)} distances of two real ones from the live generator's, and {_span(average)} "
        f"from the real mean, the live ones {_span(live)}.",
        "Train longer, or lower average_decay.",
        "lagging-average",
    )


def _warning(title: str, evidence: str, advice: str, code: str) -> Finding:
    return Finding("warning", title, evidence, advice, code=code)


def _span(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} ({estimate.low:.3g} to {estimate.high:.3g})"
