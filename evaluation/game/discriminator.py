"""Scores of a GAN's discriminator from its logits: separation, memorisation, distance from equilibrium."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import softplus

from advgan.gan.losses import LOSSES
from advgan.gan.rounds import packed
from advgan.models.interface import Discriminator, Generator, Practising
from advgan.ranges import to_signed
from evaluation.features.seen import Row
from evaluation.record.scores import Score, score_rows
from evaluation.statistics.intervals import Estimate, bootstrap_mean, jackknife, rate

DISCRIMINATOR_METRICS = {
    "real_probability_train": "mean D(x) of training images; none of a critic",
    "real_probability_held_out": "the same of real images that it never saw",
    "fake_probability": "mean D(G(z)), 0.5 at equilibrium",
    "real_accuracy_train": "share of training images that it takes for real",
    "real_accuracy_held_out": "the same of held-out images",
    "fake_accuracy": "share of generated images that it takes for generated",
    "generator_loss_distance": "generator's loss minus its value at equilibrium",
    "discriminator_loss_distance": "discriminator's loss minus its value at equilibrium",
    "jsd_lower_bound": "Jensen-Shannon divergence of real and generated images, at least, in nats",
    "real_fake_separation": "area under the ROC of real against generated, 0.5 at equilibrium",
    "train_held_out_gap": "mean logit of training minus held-out images",
    "train_held_out_separation": "area under the ROC of training against held-out images, 0.5 without memory",
}


@dataclass(frozen=True)
class Judgements:
    """Logits of a discriminator, (N,) each: of training images, of real ones it never saw, and of fakes."""

    train: Tensor
    held_out: Tensor
    fake: Tensor

    @property
    def finite(self) -> bool:
        """Whether no logit is NaN or infinite."""
        return all(bool(logits.isfinite().all()) for logits in (self.train, self.held_out, self.fake))


View = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to what a discriminator is shown of them, on their device."""


class Answers(NamedTuple):
    """A discriminator's logits (N,) on images, and its gradient norms at the first of them."""

    logits: Tensor
    gradient_norms: Tensor


def view_of(generator: Generator, *, packing: int = 1) -> View:
    """How a discriminator is shown images: as the levels of its generator's pyramid, or joined to packs.

    Images that fill no pack are left out.
    """

    def view(images: Tensor) -> Tensor:
        return shown(generator, to_signed(images), packing=packing)

    return view


def shown(generator: Generator, signed: Tensor, *, packing: int = 1) -> Tensor:
    """Convert signed images (N, C, H, W) to the discriminator's input (pyramids, packs), differentiably."""
    whole = signed[: len(signed) // packing * packing]
    return packed(generator.exhibit(whole) if isinstance(generator, Practising) else whole, packing)


def judge(
    discriminator: Discriminator,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = 256,
    view: View = to_signed,
) -> Tensor:
    """Logits (N,) of images (N, C, H, W) in [0, 1], in eval mode, on the CPU; the mode is put back.

    A conditional discriminator needs the `labels` (N,): the true ones of real images, the wanted ones of fakes. One
    that judges packs needs the `view` of its generator, and gives a logit a pack.
    """
    return examine(discriminator, images, labels, num_gradients=0, batch_size=batch_size, view=view).logits


def examine(
    discriminator: Discriminator,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    num_gradients: int,
    batch_size: int = 256,
    view: View = to_signed,
) -> Answers:
    """`judge`, with the gradient norms of the first `num_gradients` images; each image passes once, on the CPU after.

    A norm is that of a sample's own gradient, where no batch norm mixes the samples.
    """
    device = next(discriminator.parameters()).device
    training = discriminator.training
    discriminator.eval()
    try:
        parts = [rows for part in _parts(len(images), num_gradients) for rows in part.split(batch_size)]
        logits, norms = [], []
        for rows in parts:
            given = None if labels is None else labels[rows].to(device)
            inputs = view(images[rows].to(device))
            if len(inputs) == 0:
                continue
            if int(rows[0]) < num_gradients:
                seen, slopes = graded(discriminator, inputs, given)
                norms.append(slopes.cpu())
            else:
                with torch.no_grad():
                    seen = discriminator(inputs, given)
            logits.append(seen.float().cpu())
        return Answers(torch.cat(logits), torch.cat(norms) if norms else torch.zeros(0))
    finally:
        discriminator.train(training)


def graded(discriminator: Discriminator, inputs: Tensor, labels: Tensor | None) -> Answers:
    """Logits (N,) and gradient norms (N,) of what a discriminator is shown, (N, ...), from one pass; no graph is left.

    The norm is taken of each sample alone: over the whole batch it would read about 1 / sqrt(N) of that.
    """
    inputs = inputs.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = discriminator(inputs, labels)
        (gradients,) = torch.autograd.grad(logits.sum(), inputs)
    return Answers(logits.detach(), gradients.flatten(1).float().norm(dim=1))


def _parts(count: int, first: int) -> list[Tensor]:
    """The rows of the first images, and those of the others."""
    rows = torch.arange(count)
    return [part for part in (rows[:first], rows[first:]) if len(part)]


def jensen_shannon_bound(real_logits: Tensor, fake_logits: Tensor) -> float:
    """Bound the Jensen-Shannon divergence of real and fake images from below, in nats (Goodfellow et al., 2014).

    (ln 4 - L) / 2 with the cross-entropy L = -E log D(real) - E log(1 - D(fake)), clipped to [0, ln 2]. It holds for
    any discriminator on images that it was not trained on, whatever its loss; it is tight for the best one.
    """
    loss = float(softplus(-real_logits.double()).mean() + softplus(fake_logits.double()).mean())
    return min(max((math.log(4) - loss) / 2, 0.0), math.log(2))


def jensen_shannon_estimate(real_logits: Tensor, fake_logits: Tensor, *, seed: int = 0) -> Estimate:
    """`jensen_shannon_bound` with its jackknife interval, cut to [0, ln 2]."""
    value, low, high = jackknife(jensen_shannon_bound, real_logits, fake_logits, seed=seed)
    return Estimate(value, *_cut(low, high, 0.0, math.log(2)))


def separation(higher: Tensor, lower: Tensor) -> float:
    """Probability that a logit of the first set exceeds one of the second, ties counted half: the area under the ROC.

    1/2 means that the discriminator cannot tell the sets apart. It needs no threshold, so it serves every loss.
    """
    ranks = stats.rankdata(torch.cat([higher, lower]).double().cpu().numpy())[: len(higher)]
    return (float(ranks.sum()) / len(higher) - (len(higher) + 1) / 2) / len(lower)


def separation_estimate(higher: Tensor, lower: Tensor, *, seed: int = 0) -> Estimate:
    """`separation` with its jackknife interval, cut to [0, 1]."""
    value, low, high = jackknife(separation, higher, lower, seed=seed)
    return Estimate(value, *_cut(low, high, 0.0, 1.0))


def discriminator_scores(
    judgements: Judgements, *, loss: str, subject: str = "", data: str = "", seed: int = 0
) -> list[Score]:
    """Score a discriminator from its logits; `loss` names the entry of LOSSES that it was trained with.

    Raises ValueError for logits that are not finite, or for a set of fewer than two.
    """
    rows = discriminator_rows(judgements, loss=loss, seed=seed)
    return score_rows(rows, subject=subject, data=data, setting=f"discriminator-{loss}", seed=seed)


def discriminator_rows(judgements: Judgements, *, loss: str, seed: int = 0) -> list[Row]:
    """The rows of `discriminator_scores`, by the names of DISCRIMINATOR_METRICS."""
    train, held_out, fake = judgements.train, judgements.held_out, judgements.fake
    if not judgements.finite:
        raise ValueError("the discriminator gives NaN or infinite logits: its training has diverged")
    if min(len(train), len(held_out), len(fake)) < 2:
        raise ValueError("diagnosing a discriminator takes at least two training, two held-out and two fake images")
    boot = partial(bootstrap_mean, seed=seed)
    real_and_fake = f"{len(held_out)} held-out real, {len(fake)} fake"
    share = "Wilson interval"
    rows: list[Row] = []
    critic = loss == "wasserstein"
    if not critic:  # a critic has no zero, so no probabilities, accuracies or equilibrium of G
        probability = "mean of sigmoid(logit); bootstrap interval"
        rows += [
            ("real_probability_train", boot(train.double().sigmoid()), len(train), probability),
            ("real_probability_held_out", boot(held_out.double().sigmoid()), len(held_out), probability),
            ("fake_probability", boot(fake.double().sigmoid()), len(fake), probability),
            ("real_accuracy_train", rate(train > 0), len(train), f"share of logits above 0; {share}"),
            ("real_accuracy_held_out", rate(held_out > 0), len(held_out), f"share of logits above 0; {share}"),
            ("fake_accuracy", rate(fake < 0), len(fake), f"share of logits below 0; {share}"),
        ]
        generator = _distance(LOSSES[loss].generator, LOSSES[loss].generator_equilibrium)
        text = f"{loss} loss minus its value at logits 0; {real_and_fake}; jackknife interval"
        rows.append(("generator_loss_distance", jackknife(generator, fake, held_out, seed=seed), len(fake), text))
    discriminator = _distance(LOSSES[loss].discriminator, LOSSES[loss].discriminator_equilibrium)
    text = f"{loss} loss minus its value at logits 0; {real_and_fake}; jackknife interval"
    rows.append(("discriminator_loss_distance", jackknife(discriminator, held_out, fake, seed=seed), len(fake), text))
    if not critic:
        text = f"(ln 4 - cross-entropy) / 2 in nats, in [0, ln 2]; {real_and_fake}; jackknife interval"
        rows.append(("jsd_lower_bound", jensen_shannon_estimate(held_out, fake, seed=seed), len(fake), text))
    even = "0.5 where it tells nothing apart" if critic else "0.5 at equilibrium"
    return [
        *rows,
        (
            "real_fake_separation",
            separation_estimate(held_out, fake, seed=seed),
            len(fake),
            f"area under the ROC, {even}; {real_and_fake}; jackknife interval",
        ),
        (
            "train_held_out_gap",
            jackknife(_gap, train, held_out, seed=seed),
            len(held_out),
            f"mean logit of {len(train)} training images minus {len(held_out)} held-out; jackknife interval",
        ),
        (
            "train_held_out_separation",
            separation_estimate(train, held_out, seed=seed),
            len(held_out),
            f"area under the ROC, 0.5 without memory; {len(train)} training, {len(held_out)} held-out; "
            "jackknife interval",
        ),
    ]


def _distance(loss: Callable[[Tensor, Tensor], Tensor], equilibrium: float) -> Callable[[Tensor, Tensor], float]:
    def distance(first: Tensor, second: Tensor) -> float:
        return float(loss(first.double(), second.double())) - equilibrium

    return distance


def _gap(train: Tensor, held_out: Tensor) -> float:
    return float(train.double().mean() - held_out.double().mean())


def _cut(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    return (low, high) if math.isnan(low) else (max(low, least), min(high, most))
