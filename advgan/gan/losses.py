"""Adversarial losses as pure functions of logits; they see neither networks nor optimisers.

In every loss a logit above 0 means "real", and a discriminator that cannot tell gives 0 everywhere. The value that each
loss takes there is its equilibrium; the distance from it is comparable between losses where the losses are not.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus


class Loss(NamedTuple):
    """What both players minimise: (N,) logits to a scalar each.

    `generator` is given the real logits as well, for losses that compare the two; they are constants there.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """(real_logits, fake_logits)"""
    generator: Callable[[Tensor, Tensor], Tensor]
    """(fake_logits, real_logits)"""
    discriminator_equilibrium: float
    """The discriminator's loss where all logits are 0."""
    generator_equilibrium: float
    """The generator's loss where all logits are 0. A Wasserstein critic is determined only up to a constant, so there
    only the discriminator's value is meaningful."""
    compares: bool = False
    """Whether the generator's loss depends on the real logits (relativistic losses)."""


def cross_entropy_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log D(real) - E log(1 - D(fake)) with D = sigmoid(logits), stable for logits of any size."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def minimax_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """E log(1 - D(fake)), the zero-sum game itself; its gradient D(fake) vanishes where fakes are recognised."""
    return -softplus(fake_logits).mean()


def non_saturating_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """-E log D(fake); its gradient 1 - D(fake) is largest where fakes are recognised."""
    return softplus(-fake_logits).mean()


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 - real) + E max(0, 1 + fake): logits beyond the margin cost nothing."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """(E (real - 1/2)^2 + E (fake + 1/2)^2) / 2: the paper's targets 1 and 0, moved so that 0 is undecided."""
    return ((real_logits - 0.5).square().mean() + (fake_logits + 0.5).square().mean()) / 2


def least_squares_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """E (fake - 1/2)^2 / 2: the target of real images (a=0, b=c=1 in the paper)."""
    return (fake_logits - 0.5).square().mean() / 2


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E fake - E real: minus the estimated Wasserstein distance while the critic is 1-Lipschitz."""
    return fake_logits.mean() - real_logits.mean()


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(real - fake): a real image should look more real than a fake one."""
    return softplus(-_gaps(real_logits, fake_logits)).mean()


def relativistic_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """-E log sigmoid(fake - real): the same game with the sides exchanged."""
    return softplus(_gaps(real_logits, fake_logits)).mean()


def average_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Cross-entropy of real logits less the mean fake one, and of fake logits less the mean real one."""
    return cross_entropy_discriminator(real_logits - fake_logits.mean(), fake_logits - real_logits.mean())


def average_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """`average_discriminator` with real and fake exchanged."""
    return average_discriminator(fake_logits, real_logits)


def _gaps(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Real minus fake logits: (N,) in the order of the batch, or (N, M) for all pairs where the numbers differ."""
    if len(real_logits) == len(fake_logits):
        return real_logits - fake_logits
    return real_logits[:, None] - fake_logits


def score_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """-E fake: raise the score itself; shared by hinge and Wasserstein."""
    return -fake_logits.mean()


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. (2014): the game of equation 1, and the generator's loss of section 3.
    "minimax": Loss(cross_entropy_discriminator, minimax_generator, 2 * math.log(2), -math.log(2)),
    "non-saturating": Loss(cross_entropy_discriminator, non_saturating_generator, 2 * math.log(2), math.log(2)),
    # Lim and Ye (2017).
    "hinge": Loss(hinge_discriminator, score_generator, 2.0, 0.0),
    # Mao et al. (2017).
    "least-squares": Loss(least_squares_discriminator, least_squares_generator, 0.25, 0.125),
    # Arjovsky et al. (2017).
    "wasserstein": Loss(wasserstein_discriminator, score_generator, 0.0, 0.0),
    # Jolicoeur-Martineau (2018); the paired form is the one of Huang et al. (2024).
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, math.log(2), math.log(2), compares=True),
    "relativistic-average": Loss(
        average_discriminator, average_generator, 2 * math.log(2), 2 * math.log(2), compares=True
    ),
}


def smoothed(loss: Loss, smoothing: float) -> Loss:
    """One-sided label smoothing of a cross-entropy loss: the target of real images becomes 1 - smoothing.

    The optimal discriminator is then (1 - smoothing) p / (p + q) (Salimans et al., 2016, section 3.4); with smoothed
    fakes q would enter the numerator and reward the generator for staying where it is. Equilibrium values hold.
    """

    def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return loss.discriminator(real_logits, fake_logits) + smoothing * real_logits.mean()

    return loss._replace(discriminator=discriminator)
