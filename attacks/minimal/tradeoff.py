"""Shared by Carlini-Wagner and EAD: the bisection for the weight c of the loss in size + c * loss.

They repeat the descent with weights between the largest that did not fool and the smallest that did.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.norms import L2, finite
from attacks.objectives import contenders
from attacks.samples import Samples

_GROWTH = 10.0
_HIGHEST = 1e10
_USUAL = (0.01, 100.0)


def unit(logits: Tensor, gradient: Tensor) -> Tensor:
    """The (N,) unit in which a margin is weighed against a size in pixels: 1 for logits as networks usually have them.

    The search for the weight has few descents, and begins where the paper does, which is right for margins of about 1.
    So margins of networks whose logits are spread by less than 0.01 are measured in larger numbers, those by more than
    100 in smaller ones: a factor on all logits then changes nothing. `logits` (N, classes) and the `gradient` of the
    margin are those at the image; a sample at a boundary has equal logits, but a gradient.
    """
    rivals = logits.masked_fill(~contenders(logits), -torch.inf)
    spread = finite(rivals.amax(dim=1) - torch.where(rivals.isfinite(), rivals, torch.inf).amin(dim=1))
    scale = spread.maximum(L2.size(finite(gradient)))
    return torch.where(scale > 0, scale / scale.clamp(*_USUAL), 1)


@dataclass(frozen=True)
class Weight:
    """The weight of the loss and the interval of its bisection; one row a sample."""

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
        """Where a descent has `ended`, bisect the interval, or multiply the weight by 10 while nothing has fooled."""
        high = torch.where(ended & reached, self.high.minimum(self.value), self.high)
        low = torch.where(ended & ~reached, self.low.maximum(self.value), self.low)
        following = torch.where(high.isinf(), self.value * _GROWTH, (low + high) / 2).clamp(max=_HIGHEST)
        return Weight(torch.where(ended, following, self.value), low, high)


@dataclass(frozen=True)
class Progress:
    """Counters of each sample's descents, and the loss by which early stopping decides."""

    step: Tensor
    """(N,): the step within the current descent."""
    search: Tensor
    """(N,): the number of descents that have ended."""
    reached: Tensor
    """(N,) bool: whether an iterate of the current descent has fooled."""
    earlier: Tensor
    """(N,): the loss at the last check of early stopping."""

    @classmethod
    def of(cls, samples: Samples) -> "Progress":
        zero = torch.zeros_like(samples.rows)
        return cls(zero, zero, zero > 0, torch.full_like(samples.eps, torch.inf))

    def after(
        self, loss: Tensor, reached: Tensor, *, steps: int, may_stop: Tensor, stops: Tensor | None = None
    ) -> tuple["Progress", Tensor]:
        """Count a step, and mark (N,) the samples whose descent ends: where `stops`, or the steps are used up.

        Early stopping, where `may_stop`: the loss has not fallen by 0.01 % within a tenth of the steps.
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
    """Replace the values by `starts` where a descent has ended."""
    return torch.where(ended[:, None, None, None], starts, values)
