"""A bound on the Jensen-Shannon divergence by a newly trained discriminator: the GAN's own may be under-trained."""

import math
from typing import NamedTuple

from torch import Tensor

from advgan.data import ImageSet
from advgan.sampling.stored import TrainedGan
from evaluation.game.discriminator import jensen_shannon_bound, jensen_shannon_estimate, view_of
from evaluation.game.discriminator_fit import (
    FitConfig,
    fakes_like,
    fitted,
    halves,
    judged_together,
    untrained_discriminator,
)
from evaluation.statistics.intervals import Estimate


class Fresh(NamedTuple):
    """The bound and the logits of a newly trained discriminator on images that it was not trained on."""

    bound: Estimate
    """Of the Jensen-Shannon divergence, in nats, in [0, ln 2]."""
    real_logits: Tensor
    fake_logits: Tensor


UNSEEN = 1 << 42
"""Sample index of the first fake that only tests the discriminator: none of them is used in its training."""
FEWEST = 20


def fresh_divergence(
    gan: TrainedGan, train: ImageSet, held_out: ImageSet, *, config: FitConfig | None = None, seed: int = 0
) -> Fresh:
    """Train a new discriminator against the frozen generator and bound the divergence (Arjovsky and Bottou, 2017).

    It has the architecture of the GAN's own, learns from `train`, is chosen by one half of `held_out` and bounds on the
    other one, with as many unseen fakes. The interval covers the bound that this discriminator would reach on
    infinitely many images, which is at most the divergence itself. A function of the seed; the GAN is not changed.
    Raises ValueError for fewer than 20 held-out images, for a baseline, and where it gives no finite logits.
    """
    if len(held_out) < FEWEST:
        raise ValueError(f"{len(held_out)} held-out images are too few to bound a divergence: {FEWEST} are the least")
    packing, config = gan.game.networks.packing, config or FitConfig()
    choice, judged = halves(held_out, seed=seed)
    discriminator = fitted(
        untrained_discriminator(gan, seed=seed), gan.generator, train, choice, config=config, packing=packing, seed=seed
    )
    fakes = fakes_like(gan.generator, judged.labels, first=UNSEEN, seed=seed)
    labels = judged.labels if discriminator.num_classes else None
    view = view_of(gan.generator, packing=packing)
    real_logits, fake_logits = judged_together(discriminator, judged.unit(), fakes, labels, view, packing=packing)
    if not math.isfinite(jensen_shannon_bound(real_logits, fake_logits)):
        raise ValueError("the fresh discriminator gives NaN or infinite logits: lower its learning_rate")
    return Fresh(jensen_shannon_estimate(real_logits, fake_logits, seed=seed), real_logits, fake_logits)
