"""Synchronised batch norm: statistics over the batches of all processes."""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Sum(torch.autograd.Function):
    """All-reduce sum; its backward pass sums the gradients of all processes, and can itself be differentiated."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradients: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(gradients)
        return total


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Normalise by mean and variance over every process's batch; alone, and in eval mode, it is plain batch norm.

    torch's own needs a GPU; this one works with any backend. All processes must bring batches of one size. Gradients
    flow to the batches of all processes, so the gradient of a loss summed over processes is exact. Eval mode does not
    communicate, so one process may evaluate a network alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and distributed.is_initialized()):
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        means, variances = self._gathered(values)
        mean = means.mean(dim=0)
        # The variance within the processes' batches and the one between them: no difference of large numbers.
        variance = (variances + (means - mean).square()).mean(dim=0)
        if self.running_mean is not None:
            self._remember(mean.detach(), variance.detach(), len(means) * values.numel() // values.shape[1])
        normalised = (values - mean[:, None, None]) * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.weight is not None:
            normalised = normalised * self.weight[:, None, None] + self.bias[:, None, None]
        return normalised.to(input.dtype)

    def _gathered(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances (processes, C) of the batches, in the order of the processes."""
        own = torch.cat(torch.var_mean(values, dim=(0, 2, 3), correction=0)[::-1])
        mine = torch.arange(distributed.get_world_size(), device=values.device) == distributed.get_rank()
        means, variances = _Sum.apply(mine[:, None] * own).chunk(2, dim=1)
        return means, variances

    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * values / (values - 1), self.momentum)
        self.num_batches_tracked += 1
