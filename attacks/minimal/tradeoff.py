"""What the attacks share that weigh the size of a change against its success: the search for the weight.

Carlini-Wagner and EAD descend size + weight * loss, and repeat the descent with weights between the largest that did
not fool and the smallest that did.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.samples import Samples

_GROWTH = 10.0
_HIGHEST = 1e10


@dataclass(frozen=True)
class Weight:
    """The weight of the loss, one row a sample, and what is known of it."""

    value: Tensor
    low: Tensor
    """The largest that did not fool."""
    high: Tensor
    """The smallest that did; infinite before there is one."""

    @classmethod
    def of(cls, samples: Samples, first: float) -> "Weight":
        value = torch.full_like(samples.eps, first)
        return cls(value, torch.zeros_like(value), torch.full_like(value, torch.inf))

    def tried(self, reached: Tensor, ended: Tensor) -> "Weight":
        """Where a descent has `ended`, move to the middle of what is left, or tenfold while nothing has fooled."""
        high = torch.where(ended & reached, self.high.minimum(self.value), self.high)
        low = torch.where(ended & ~reached, self.low.maximum(self.value), self.low)
        following = torch.where(high.isinf(), self.value * _GROWTH, (low + high) / 2).clamp(max=_HIGHEST)
        return Weight(torch.where(ended, following, self.value), low, high)


@dataclass(frozen=True)
class Progress:
    """Where each sample stands in its descents, and whether the one under way still gets anywhere."""

    step: Tensor
    """(N,): of the descent under way."""
    search: Tensor
    """(N,): the descents that have ended."""
    reached: Tensor
    """(N,): whether the descent under way has passed an image that fools."""
    earlier: Tensor
    """(N,): the loss when it was last looked at."""

    @classmethod
    def of(cls, samples: Samples) -> "Progress":
        zero = torch.zeros_like(samples.rows)
        return cls(zero, zero, zero > 0, torch.full_like(samples.eps, torch.inf))

    def after(
        self, loss: Tensor, reached: Tensor, *, steps: int, may_stop: Tensor, stops: Tensor | None = None
    ) -> tuple["Progress", Tensor]:
        """Count a step; and (N,) whether it was the last of its descent: where it `stops`, or the steps are used up.

        Where it `may_stop`, it does if the loss has not fallen by a ten thousandth within a tenth of the steps.
        """
        looks = self.step % max(steps // 10, 1) == 0
        ended = (may_stop & looks & (loss > self.earlier * 0.9999)) | (self.step + 1 >= steps)
        ended = ended if stops is None else ended | stops
        return (
            Progress(
                step=torch.where(ended, 0, self.step + 1),
                search=self.search + ended.long(),
                reached=(self.reached | reached) & ~ended,
                earlier=torch.where(ended, torch.inf, torch.where(looks, loss, self.earlier)),
            ),
            ended,
        )


def start_over(ended: Tensor, values: Tensor, starts: Tensor) -> Tensor:
    """The values, and the starts where a descent has ended."""
    return torch.where(ended[:, None, None, None], starts, values)
