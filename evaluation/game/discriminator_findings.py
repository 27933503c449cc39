"""Findings on a discriminator from its logits: diverged, dead, inverted, saturated, balanced, overfitting."""

import torch

from evaluation.game.balance import logit_spread
from evaluation.game.discriminator import Judgements, separation_estimate
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

SATURATED = 0.99
"""Separation of real and fake from which on the generator learns next to nothing from a saturating loss."""
OVERFITTING = 0.6
"""Separation of training and held-out images above which the discriminator counts as remembering."""
CONSTANT = 1e-3
"""Spread of logits below which an answer does not depend on the image."""
BALANCED = 0.75
"""Separation of real and fake below which neither player is far ahead."""
FEWEST = 50
"""Images of each kind for a verdict: with a handful, a perfect separation is luck."""


def discriminator_findings(judgements: Judgements, *, loss: str, seed: int = 0) -> list[Finding]:
    """Say how the game stands: diverged, dead, inverted, saturated, or unable to tell; and whether it overfits.

    A warning needs its whole interval beyond the threshold and `FEWEST` images of each kind, so that few images give
    no verdict rather than a wrong one.
    """
    if not judgements.finite:
        return [_diverged(judgements)]
    if logit_spread(judgements) < CONSTANT:
        logits = torch.cat([judgements.train, judgements.held_out, judgements.fake])
        return [dead(f"It gives every image the same answer: logits {logits.min():.4g} to {logits.max():.4g}.")]
    fewest = min(len(judgements.train), len(judgements.held_out), len(judgements.fake))
    if fewest < FEWEST:
        return [
            Finding(
                "info",
                "Too few images for a verdict on the discriminator",
                f"The smallest of the three sets holds {fewest}.",
                f"Judge at least {FEWEST} training, held-out and fake images.",
                code="too-few-judged",
            )
        ]
    apart = separation_estimate(judgements.held_out, judgements.fake, seed=seed)
    memory = separation_estimate(judgements.train, judgements.held_out, seed=seed)
    found = _standing(judgements, apart, loss)
    if memory.value > OVERFITTING and memory.low > 0.5:
        found.append(
            overfitting(
                f"It ranks a training image above a held-out one in {_span(memory)} of all pairs; mean logits "
                f"{judgements.train.mean():.3g} training, {judgements.held_out.mean():.3g} held out."
            )
        )
    return found


def saturated(evidence: str) -> Finding:
    """A discriminator that has won, under a loss whose generator then learns little."""
    return Finding(
        "warning",
        "The discriminator is saturated",
        evidence,
        "It has won, and the generator's gradient fades. Lower its learning rate or number of steps, add a "
        "gradient penalty, or train the generator longer.",
        code="saturated-discriminator",
    )


def dead(evidence: str) -> Finding:
    """A discriminator whose answer does not depend on the image."""
    return Finding(
        "warning",
        "The discriminator is dead",
        evidence,
        "Nothing reaches the generator. Lower the learning rates or the gradient penalty, and check that real and fake "
        "images come in one range.",
        code="dead-discriminator",
    )


def overfitting(evidence: str) -> Finding:
    """A discriminator that knows its training images."""
    return Finding(
        "warning",
        "The discriminator overfits",
        evidence,
        "It remembers its images, and the generator is driven to copy them. Stop earlier, augment, use more images or "
        "a smaller discriminator.",
        code="overfitting-discriminator",
    )


def _standing(judgements: Judgements, apart: Estimate, loss: str) -> list[Finding]:
    evidence = (
        f"It ranks a held-out real image above a fake one in {_span(apart)} of all pairs; mean logits "
        f"{judgements.held_out.mean():.3g} real, {judgements.fake.mean():.3g} fake."
    )
    if apart.high < 0.5:
        return [
            Finding(
                "warning",
                "The discriminator is inverted",
                evidence,
                "It trails the generator: players that chase each other in circles look so. Give it more steps or a "
                "higher learning rate, or lower beta1.",
                code="inverted-discriminator",
            )
        ]
    if apart.low >= SATURATED and loss == "wasserstein":
        return [
            Finding(
                "info",
                "The critic separates real from fake",
                evidence,
                "A critic with a gradient penalty still teaches there; watch its loss fall.",
                code="separating-critic",
            )
        ]
    if apart.low >= SATURATED:
        return [saturated(evidence)]
    if apart.value <= BALANCED:
        return [
            Finding(
                "info",
                "The discriminator hardly tells real from generated",
                evidence,
                "So it does beside a perfect generator, and where it has learnt nothing: judge the images by the "
                "distances and modes.",
                code="balanced-discriminator",
            )
        ]
    return []


def _diverged(judgements: Judgements) -> Finding:
    logits = torch.cat([judgements.train, judgements.held_out, judgements.fake])
    broken = int((~logits.isfinite()).sum())
    return Finding(
        "warning",
        "The discriminator has diverged",
        f"{broken} of {len(logits)} logits are NaN or infinite.",
        "Go back to an earlier checkpoint and lower the learning rates.",
        code="diverged-discriminator",
    )


def _span(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"
