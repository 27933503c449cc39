"""Diagnostics of a GAN's game from its discriminator's logits, as plain numbers for one row of the log."""

import math

import torch
from torch import Tensor

from advgan.gan.losses import LOSSES
from evaluation.game.discriminator import Answers, Judgements, jensen_shannon_bound, separation
from evaluation.statistics.intervals import UNKNOWN, Estimate, jackknife, wilson
from evaluation.statistics.welch import difference_of_means


def balance(judged: Judgements, *, loss: str) -> dict[str, float | None]:
    """Compute all diagnostics of logits, under the words of `discriminator_rows`; `loss` names the entry of LOSSES.

    Probabilities, accuracies and the generator's equilibrium are left out under `wasserstein`, whose critic is
    determined only up to a constant.
    """
    train, held_out, fake = (logits.double() for logits in (judged.train, judged.held_out, judged.fake))
    entry = LOSSES[loss]
    found: dict[str, float | None] = {
        "real_fake_separation": separation(held_out, fake),
        "train_held_out_separation": separation(train, held_out),
        "wasserstein_estimate": float(held_out.mean() - fake.mean()),
        "wasserstein_estimate_train": float(train.mean() - fake.mean()),
        "discriminator_loss_distance": float(entry.discriminator(held_out, fake)) - entry.discriminator_equilibrium,
        "overfitting_share": overfitting_share(train, held_out, fake),
        "logit_spread": logit_spread(judged),
    }
    if loss == "wasserstein":
        return found
    return found | {
        "jsd_lower_bound": jensen_shannon_bound(held_out, fake),
        "overfitting_signs": overfitting_signs(train),
        "real_probability_train": float(train.sigmoid().mean()),
        "real_probability_held_out": float(held_out.sigmoid().mean()),
        "fake_probability": float(fake.sigmoid().mean()),
        "real_accuracy_train": float((train > 0).double().mean()),
        "real_accuracy_held_out": float((held_out > 0).double().mean()),
        "fake_accuracy": float((fake < 0).double().mean()),
        "generator_loss_distance": float(entry.generator(fake, held_out)) - entry.generator_equilibrium,
        "non_saturating_weight": float((-fake).sigmoid().mean()),
        "minimax_weight": float(fake.sigmoid().mean()),
    }


def overfitting_signs(train: Tensor) -> float:
    """E sign of the logits of training images, r_t of Karras et al. (2020): 1 where it knows them, 0 where it does not.

    Adaptive augmentation aims at 0.6.
    """
    return float(train.double().sign().mean())


def overfitting_share(train: Tensor, held_out: Tensor, fake: Tensor) -> float | None:
    """(E train - E held out) / (E train - E fake), r_v of Karras et al. (2020); None where train and fake agree.

    0 without overfitting, 1 where held-out images are to the discriminator what fakes are.
    """
    gap = float(train.double().mean() - fake.double().mean())
    return float(train.double().mean() - held_out.double().mean()) / gap if abs(gap) > 1e-12 else None


def logit_spread(judged: Judgements) -> float:
    """Largest logit minus the smallest, over the largest size where that exceeds 1: 0 for a dead discriminator."""
    logits = torch.cat([judged.train, judged.held_out, judged.fake]).double()
    return float(logits.max() - logits.min()) / max(1.0, float(logits.abs().max()))


def slopes(train: Answers, fake: Answers, between: Tensor) -> dict[str, float]:
    """Gradient norms of a discriminator: R1 at training images, R2 at fakes, and those at points between the two.

    A Wasserstein estimate is one of the distance where the norms between are about 1, sample by sample. R1 and R2 are
    E |grad|^2, without the half of a penalty.
    """
    norms = between.double()
    return {
        "r1": float(train.gradient_norms.double().square().mean()),
        "r2": float(fake.gradient_norms.double().square().mean()),
        "between_gradient_mean": float(norms.mean()),
        "between_gradient_deviation": float(norms.std(correction=0)),
        "between_gradient_p95": float(torch.quantile(norms, 0.95)),
    }


def overfitting_signs_estimate(train: Tensor) -> Estimate:
    """`overfitting_signs` with the interval of Wilson for the share of images above 0, so that 1 is not certain."""
    value = overfitting_signs(train)
    low, high = wilson(round((1 + value) / 2 * len(train)), len(train))
    return Estimate(value, 2 * low - 1, 2 * high - 1)


def overfitting_share_estimate(train: Tensor, held_out: Tensor, fake: Tensor, *, seed: int = 0) -> Estimate:
    """`overfitting_share` with its jackknife interval.

    A ratio has none where its denominator may be 0: unknown while training images are not told from fakes, and the
    value NaN where both are the same.
    """
    value = overfitting_share(train, held_out, fake)
    apart = difference_of_means(train, fake)
    if value is None or not (apart.low > 0 or apart.high < 0):
        return Estimate(math.nan if value is None else value, *UNKNOWN)

    def share(*parts: Tensor) -> float:
        found = overfitting_share(*parts)
        return math.nan if found is None else found

    return jackknife(share, train, held_out, fake, seed=seed)
