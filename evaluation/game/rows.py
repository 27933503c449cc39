"""Rows on the game of a GAN: calibration, slope and optimality of its discriminator, and the duality gap.

Beside `discriminator_scores`, which has probabilities, accuracies and the areas under the ROC.
"""

from collections.abc import Callable, Collection
from functools import partial

from advgan.config.gan_training import CROSS_ENTROPY
from evaluation.features.seen import Row
from evaluation.game.balance import overfitting_share_estimate, overfitting_signs_estimate
from evaluation.game.calibration import BINS, brier_score, calibration_error
from evaluation.game.discriminator import jensen_shannon_estimate
from evaluation.game.duality_gap import duality_gap
from evaluation.game.fresh_discriminator import fresh_divergence
from evaluation.game.match import Match
from evaluation.game.player_gradients import player_gradients
from evaluation.game.snapshot_rows import SNAPSHOT_METRICS, snapshot_rows
from evaluation.game.wasserstein import over_slope, steepness, wasserstein_estimate
from evaluation.statistics.intervals import UNKNOWN, Estimate, bootstrap_mean, mean

CALIBRATION_METRICS = {
    "discriminator_calibration_error": "how far sigmoid(logit) is from the share of real images; cross-entropy losses",
    "discriminator_brier_score": "mean squared error of sigmoid(logit), 0.25 for one that always says 1/2",
}
CRITIC_METRICS = {
    "wasserstein_estimate": "mean logit of held-out images minus that of fakes",
    "wasserstein_estimate_train": "the same with training images; larger where the critic overfits",
    "wasserstein_over_slope": "wasserstein_estimate over lipschitz_constant: bounds the distance from below",
    "lipschitz_constant": "largest gradient norm of the discriminator between real and fake images",
    "lipschitz_mean": "their mean, about 1 under a gradient penalty",
    "lipschitz_p95": "their 95th percentile",
    "r1": "mean squared gradient norm of the discriminator at training images",
    "r2": "the same at fakes",
}
WEIGHT_METRICS = {
    "non_saturating_weight": "1 - D(G(z)), the weight of a fake in the non-saturating gradient",
    "minimax_weight": "D(G(z)), its weight in the minimax gradient; at 0 the generator learns nothing from that",
    "overfitting_signs": "mean sign of the logits of training images: r_t of Karras et al. (2020)",
    "overfitting_share": "0 without overfitting, 1 where held-out images are taken for fakes: r_v",
}
GRADIENT_METRICS = {
    "generator_gradient": "norm of the gradient of all parameters of the generator",
    "discriminator_gradient": "the same of the discriminator",
    "broken_gradients": "entries of these gradients that are NaN or infinite",
}
FRESH_METRICS = {
    "jsd_fresh": "divergence of real and generated images as a new discriminator sees it; costly",
    "jsd_own": "the same by the GAN's own discriminator: the control; costly",
}
GAP_METRICS = {
    "duality_gap": "what either player could still gain, 0 at an equilibrium; costly",
    "minimax_loss": "value of the game against the worst discriminator, -ln 2 for a perfect generator; costly",
}
GAME_METRICS = {
    **CALIBRATION_METRICS,
    **CRITIC_METRICS,
    **WEIGHT_METRICS,
    **GRADIENT_METRICS,
    **SNAPSHOT_METRICS,
    **FRESH_METRICS,
    **GAP_METRICS,
}
COSTLY = frozenset({**FRESH_METRICS, **GAP_METRICS})
"""Metrics that train networks: they must be asked for by name, as a request for all metrics leaves them out."""


def game_rows(match: Match, wanted: Collection[str]) -> list[Row]:
    """Compute the rows of GAME_METRICS that are `wanted`, and nothing else; the `COSTLY` ones train networks.

    Left out is what a game does not have: probabilities of a critic, looks of a GAN without a log, features without an
    extractor. Raises ValueError where the discriminator's logits are not finite, and for words that are not known.
    """
    unknown = [word for word in wanted if word not in GAME_METRICS]
    if unknown:
        raise ValueError(f"no metric {unknown[0]!r} of a game; known: {', '.join(GAME_METRICS)}")
    asked = [rows_of for words, rows_of in GROUPS if words.keys() & set(wanted)]
    rows = [row for rows_of in asked for row in rows_of(match)]
    rows += snapshot_rows(match, wanted)
    return [row for row in rows if row[0].partition("[")[0] in wanted]


def _calibration(match: Match) -> list[Row]:
    if match.loss not in CROSS_ENTROPY:
        return []
    real, fake = match.finite_judgements.held_out, match.finite_judgements.fake
    error = calibration_error(real, fake, seed=match.seed)
    sizes = f"{_sizes(match)}, both kinds weighted alike"
    smoothing = match.gan.game.training.label_smoothing
    target = f"; trained towards {1 - smoothing:g} for real images" if smoothing else ""
    text = f"{BINS} equal bins of sigmoid(logit){target}; about {error.floor:.2g} for one that is calibrated; {sizes}; "
    text += "parametric bootstrap interval about the expectation at these sizes"
    brier = f"mean squared error of sigmoid(logit); {sizes}; Welch interval"
    return [
        ("discriminator_calibration_error", error.estimate, len(fake), text),
        ("discriminator_brier_score", brier_score(real, fake), len(fake), brier),
    ]


def _critic(match: Match) -> list[Row]:
    judged, slopes = match.finite_judgements, steepness(match.slopes)
    held_out, train = (wasserstein_estimate(real, judged.fake) for real in (judged.held_out, judged.train))
    boot, count = partial(bootstrap_mean, seed=match.seed), len(match.slopes)
    between = f"gradient norms of {count} single points between training images and fakes, signed pixels"
    at = (
        "mean squared gradient norm, sample by sample, signed pixels, without the half of a penalty; bootstrap interval"
    )
    constant = f"largest of the {between}; the constant is at least this, a largest value has no interval"
    scaled = (
        f"wasserstein_estimate / {slopes.largest:.4g}, the largest of the {between}; {_sizes(match)}; Welch interval"
    )
    points = {"r1": match.on_train.gradient_norms, "r2": match.on_fakes.gradient_norms}
    return [
        ("wasserstein_estimate", held_out, len(judged.fake), f"mean logits; {_sizes(match)}; Welch interval"),
        (
            "wasserstein_estimate_train",
            train,
            len(judged.fake),
            f"mean logits; {len(judged.train)} training, {len(judged.fake)} fake; Welch interval",
        ),
        ("wasserstein_over_slope", over_slope(held_out, slopes.largest), len(judged.fake), scaled),
        ("lipschitz_constant", Estimate(slopes.largest, *UNKNOWN), count, constant),
        ("lipschitz_mean", slopes.mean, count, f"mean of the {between}; t interval"),
        ("lipschitz_p95", slopes.percentile, count, f"95th percentile of the {between}; order statistics"),
        *((word, boot(norms.double().square()), len(norms), at) for word, norms in points.items()),
    ]


def _weights(match: Match) -> list[Row]:
    judged, boot = match.finite_judgements, partial(bootstrap_mean, seed=match.seed)
    sizes = f"{len(judged.train)} training, {_sizes(match)}"
    share = overfitting_share_estimate(judged.train, judged.held_out, judged.fake, seed=match.seed)
    text = f"(E train - E held out) / (E train - E fake) of logits; {sizes}; jackknife interval, none where the "
    rows: list[Row] = [("overfitting_share", share, len(judged.held_out), f"{text}denominator may be 0")]
    if match.loss == "wasserstein":  # a critic has no zero, so no signs and no probabilities
        return rows
    weights = {"non_saturating_weight": -judged.fake, "minimax_weight": judged.fake}
    signs = "mean sign of logits, without augmentation; Wilson interval of the share above 0"
    return [
        *(
            (word, boot(logits.double().sigmoid()), len(logits), f"mean of sigmoid({sign}logit); bootstrap interval")
            for (word, logits), sign in zip(weights.items(), ("-", ""), strict=True)
        ),
        ("overfitting_signs", overfitting_signs_estimate(judged.train), len(judged.train), signs),
        *rows,
    ]


def _gradients(match: Match) -> list[Row]:
    found = player_gradients(match.gan, match.train, seed=match.seed)
    count, size = len(found.generator), match.gan.game.training.batch_size
    text = f"{match.loss} loss without further terms, eval mode, averaged generator; {count} batches of "
    text += f"{min(size, len(match.train))}, whose size it depends on; t interval over batches"
    return [
        ("generator_gradient", mean(found.generator), count, text),
        ("discriminator_gradient", mean(found.discriminator), count, text),
        ("broken_gradients", Estimate(found.broken, found.broken, found.broken), count, "a count in these batches"),
    ]


def _fresh(match: Match) -> list[Row]:
    fresh = fresh_divergence(match.gan, match.train, match.held_out, config=match.fit, seed=match.seed)
    sizes = f"{len(fresh.real_logits)} held-out real, {len(fresh.fake_logits)} fake"
    bound = "(ln 4 - cross-entropy) / 2 in nats, in [0, ln 2]"
    text = f"{bound}; a new discriminator of the same kind, {_effort(match)}; {sizes} that it never saw; jackknife "
    text += "interval about this discriminator's limit, which is below the divergence itself"
    rows: list[Row] = [("jsd_fresh", fresh.bound, len(fresh.fake_logits), text)]
    if match.loss not in CROSS_ENTROPY:  # other logits are no odds, so their bound is far from tight
        return rows
    judged = match.finite_judgements
    own = jensen_shannon_estimate(judged.held_out, judged.fake, seed=match.seed)
    text = f"{bound}; the GAN's own discriminator; {_sizes(match)}; jackknife interval"
    return [*rows, ("jsd_own", own, len(judged.fake), text)]


def _gap(match: Match) -> list[Row]:
    if match.loss == "wasserstein":
        return []
    found = duality_gap(match.gan, match.held_out, config=match.fit, seed=match.seed)
    count = len(match.held_out) - len(match.held_out) // 2
    text = f"half the cross-entropy game in nats; adversaries: copies after {_effort(match)} on the other half of the "
    text += f"held-out images; valued on {count} held-out and as many fakes; Welch interval about these adversaries"
    return [("duality_gap", found.gap, count, text), ("minimax_loss", found.minimax_loss, count, text)]


def _effort(match: Match) -> str:
    fit = match.fit
    return f"{fit.taken} steps of {fit.batch_size} + {fit.batch_size} images, Adam {fit.learning_rate:g}"


def _sizes(match: Match) -> str:
    return f"{len(match.finite_judgements.held_out)} held-out real, {len(match.finite_judgements.fake)} fake"


GROUPS: tuple[tuple[dict[str, str], Callable[[Match], list[Row]]], ...] = (
    (CALIBRATION_METRICS, _calibration),
    (CRITIC_METRICS, _critic),
    (WEIGHT_METRICS, _weights),
    (GRADIENT_METRICS, _gradients),
    (FRESH_METRICS, _fresh),
    (GAP_METRICS, _gap),
)
