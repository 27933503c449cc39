"""The duality gap of a GAN (Grnarova et al., 2019): what either player could still gain with the other one frozen."""

import math
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus
from torch.optim import Adam

from advgan.data import ImageSet
from advgan.models.interface import Discriminator, Generator
from advgan.sampling.classes import sample_labels
from advgan.sampling.stored import TrainedGan
from evaluation.game.discriminator import shown, view_of
from evaluation.game.discriminator_fit import (
    CHOICE_NOISE,
    FIT_NOISE,
    FitConfig,
    fakes_like,
    fitted,
    halves,
    judged_together,
)
from evaluation.statistics.intervals import Estimate
from evaluation.statistics.welch import difference_of_means, sum_of_means

GAP_NOISE = 1 << 43
"""Index of the first sample on which the game is valued."""
LEAST_CHOSEN_BY = 256
CHOICES = 8
FEWEST = 40


class Gap(NamedTuple):
    """The two terms of the duality gap and their difference, in nats, each with its interval."""

    gap: Estimate
    """0 at an equilibrium."""
    minimax_loss: Estimate
    """Value of the game against the worst discriminator: -ln 2 for a perfect generator, 0 for one that is found out."""
    maximin_loss: Estimate
    """Value of the game against the worst generator."""


def game_value(real_logits: Tensor, fake_logits: Tensor) -> Estimate:
    """M = E ln D(real) / 2 + E ln(1 - D(fake)) / 2: the game (Goodfellow et al., 2014), halved; -ln 2 where D = 1/2."""
    return sum_of_means(logsigmoid(real_logits.double()) / 2, -softplus(fake_logits.double()) / 2)


def gap_of(against_worst_discriminator: tuple[Tensor, Tensor], against_worst_generator: tuple[Tensor, Tensor]) -> Gap:
    """The gap from (real, fake) logits of the same real images and latents in both games.

    Since they are the same, differences are taken image by image, and what is common to both games makes no noise.
    """
    (real, fake), (own_real, worst_fake) = (
        tuple(logits.double() for logits in pair) for pair in (against_worst_discriminator, against_worst_generator)
    )
    on_real = (logsigmoid(real) - logsigmoid(own_real)) / 2
    on_fake = (softplus(fake) - softplus(worst_fake)) / 2
    return Gap(difference_of_means(on_real, on_fake), game_value(real, fake), game_value(own_real, worst_fake))


def duality_gap(gan: TrainedGan, held_out: ImageSet, *, config: FitConfig | None = None, seed: int = 0) -> Gap:
    """Take k gradient steps on a copy of each player against the other one, and value both games on unseen images.

    Three sets without a common image, as in the paper: the GAN's own training images, the half of `held_out` to which
    the adversaries are fitted (a quarter of it chooses the best of them, so none is worse than the player that it
    started from, up to chance), and the half on which the games are valued. The value is about these adversaries: k
    steps find a part of what endless ones would (Sidheekh et al., 2021), so it bounds the gap from below. It is the gap
    of the cross-entropy game whatever the GAN was trained with; a function of the seed, and the GAN stays untouched.
    Raises ValueError for a Wasserstein critic, whose logits have no zero, for a baseline and for fewer than 40 images.
    """
    if gan.game.training.loss == "wasserstein":
        raise ValueError(
            f"{gan.path} has a Wasserstein critic, whose logits are no odds: read wasserstein_estimate instead"
        )
    if len(held_out) < FEWEST:
        raise ValueError(f"{len(held_out)} held-out images are too few for a duality gap: {FEWEST} are the least")
    config = config or FitConfig()
    discriminator, generator, packing = gan.game.discriminator, gan.generator, gan.game.networks.packing
    adversaries, valued = halves(held_out, seed=seed)
    quarter = max(len(adversaries) // 4, packing)
    choice = adversaries.select(torch.arange(quarter))
    taught = adversaries.select(torch.arange(quarter, len(adversaries)))
    options = {"config": config, "packing": packing, "seed": seed}
    worst_discriminator = fitted(discriminator, generator, taught, choice, learns_statistics=False, **options)  # type: ignore[arg-type]
    worst_generator = fooling(generator, discriminator, **options)  # type: ignore[arg-type]

    view, real = view_of(generator, packing=packing), valued.unit()
    labels = valued.labels if discriminator.num_classes else None

    def logits(judging: Discriminator, drawing: Generator) -> tuple[Tensor, Tensor]:
        fakes = fakes_like(drawing, valued.labels, first=GAP_NOISE, seed=seed)
        return judged_together(judging, real, fakes, labels, view, packing=packing, seed=seed)

    return gap_of(logits(worst_discriminator, generator), logits(discriminator, worst_generator))


def fooling(
    generator: Generator, discriminator: Discriminator, *, config: FitConfig, packing: int = 1, seed: int = 0
) -> Generator:
    """Move a copy of a generator where a discriminator that stands still takes its images for real.

    It follows the non-saturating gradient, which points where that of the game does and does not vanish where fakes
    are recognised; the best of a few looks by the game's own value is returned, in eval mode. Running statistics stay.
    """
    copy = deepcopy(generator).requires_grad_(True).eval()
    judging = deepcopy(discriminator).requires_grad_(False).eval()
    optimizer = Adam(list(copy.parameters()), config.learning_rate)
    count = max(1, config.batch_size // packing) * packing
    looks = {round(config.taken * look / CHOICES) for look in range(CHOICES + 1)}
    least, kept = math.inf, deepcopy(copy.state_dict())
    for step in range(config.taken + 1):
        if step in looks:
            with torch.no_grad():
                chosen_by = max(LEAST_CHOSEN_BY, count) // packing * packing
                logits = _logits(copy, judging, first=CHOICE_NOISE, count=chosen_by, packing=packing, seed=seed)
            value = float(-softplus(logits.double()).mean())
            if value < least:
                least, kept = value, deepcopy(copy.state_dict())
        if step == config.taken:
            break
        with torch.enable_grad():
            logits = _logits(copy, judging, first=FIT_NOISE + step * count, count=count, packing=packing, seed=seed)
            optimizer.zero_grad()
            softplus(-logits).mean().backward()
            optimizer.step()
    copy.load_state_dict(kept)
    return copy.requires_grad_(False)


def _logits(
    generator: Generator, discriminator: Discriminator, *, first: int, count: int, packing: int, seed: int
) -> Tensor:
    """Logits of new images, with a graph where gradients are on."""
    indices = torch.arange(first, first + count, device=next(generator.parameters()).device)
    labels = sample_labels(generator, indices, seed=seed)
    signed = generator(generator.space.draw(seed, indices), labels)
    return discriminator(shown(generator, signed, packing=packing), labels if discriminator.num_classes else None)
