"""Discriminator rejection sampling (Azadi et al., 2019): accept generated images by the discriminator's density ratio.

An optimal discriminator trained by cross-entropy has the logit log(p_real / p_generated). Accepting each image with
probability ratio / largest ratio then samples from the real distribution, on the support of the generator. In practice
the largest ratio is estimated from a burn-in, and a shift (the paper's gamma) trades exactness for fewer rejections.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.random import uniform

COINS = 1 << 15
"""Stream of the accept/reject draws, apart from those of sampling and training."""
Logits = Callable[[Tensor], Tensor]
"""Sample indices (N,) to the discriminator's logits of those samples (N,)."""


class Rejection(NamedTuple):
    """The acceptance rule: the largest logit of the burn-in, and the shift (the paper's gamma), in logits."""

    largest: float
    shift: float

    def probability(self, logits: Tensor) -> Tensor:
        """Probability of being kept: (N,) to (N,) float64.

        sigmoid(F) with F = d - log(1 - exp(d)) - shift and d = logit - largest <= 0; at shift 0 this is exp(d), the
        ratio over the largest. A logit above the largest is kept for certain.
        """
        distance = logits.double() - self.largest
        below = distance.clamp(max=-_LEAST)
        odds = below - torch.log(-torch.expm1(below)) - self.shift
        return torch.where(distance >= 0, torch.ones_like(odds), odds.sigmoid())


class Kept(NamedTuple):
    """The accepted indices, ascending, and the numbers of accepted and drawn samples, surplus included."""

    indices: Tensor
    accepted: int
    drawn: int


_LEAST = 1e-12


def fit_rejection(logits: Tensor, *, percentile: float | None = None) -> Rejection:
    """Set up from the logits (N,) of a burn-in.

    `percentile` puts the shift where that share of the burn-in (in percent) is kept with probability below a half:
    lower keeps more and corrects less. None is no shift: exact for calibrated logits, and slow where ratios differ.
    """
    largest = float(logits.max())
    if percentile is None:
        return Rejection(largest, 0.0)
    below = (logits.double() - largest).clamp(max=-_LEAST)
    return Rejection(largest, float(torch.quantile(below - torch.log(-torch.expm1(below)), percentile / 100)))


def keep(logits: Tensor, indices: Tensor, rejection: Rejection, *, seed: int) -> Tensor:
    """Whether each sample stays: (N,) bool, a function of its logit and (seed, index) alone."""
    return uniform(seed, indices, (), stream=COINS).to(logits.device) < rejection.probability(logits)


def reject(
    judge: Logits,
    rejection: Rejection,
    *,
    wanted: int,
    seed: int,
    block: int,
    most: int,
    seen: Callable[[int], object] = lambda accepted: None,
) -> Kept:
    """Go through samples 0, 1, 2, ... in blocks until `wanted` are kept.

    Raises ValueError where `most` were drawn before; `seen` is told after each block how many are kept so far.
    """
    kept: list[Tensor] = []
    accepted = drawn = 0
    for indices in _blocks(block, most):
        some = indices[keep(judge(indices), indices, rejection, seed=seed).cpu()]
        kept.append(some)
        accepted, drawn = accepted + len(some), drawn + len(indices)
        seen(accepted)
        if accepted >= wanted:
            return Kept(torch.cat(kept)[:wanted], accepted, drawn)
    raise ValueError(
        f"rejection: {accepted:,} of {drawn:,} samples were kept, {wanted:,} are wanted; "
        "lower --reject-percentile (50 keeps more), or ask for fewer with --num-samples"
    )


def _blocks(size: int, most: int) -> Iterator[Tensor]:
    for number in range(math.ceil(most / size)):
        yield torch.arange(number * size, (number + 1) * size)
