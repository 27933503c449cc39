"""Batch norm over the batches of all processes."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Normalise by mean and variance over every process's batch; alone it is plain batch norm.

    torch's own needs a GPU; this one works wherever the processes talk. Every process must bring a batch of one size.
    Both moments are summed over the processes with a sum that gradients flow through.
    """

    def forward(self, input: Tensor) -> Tensor:
        is_batch = self.training or self.running_mean is None
        if not (is_batch and distributed.is_initialized()):
            return super().forward(input)
        count = distributed.get_world_size()
        mean = input.mean(dim=(0, 2, 3))
        moments = all_reduce(torch.cat([mean, input.square().mean(dim=(0, 2, 3))])) / count
        mean, square = moments.chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        if self.training and self.running_mean is not None:
            self._remember(mean.detach(), variance.detach(), input.numel() // input.shape[1] * count)
        scale = torch.rsqrt(variance + self.eps)
        normalised = (input - mean[:, None, None]) * scale[:, None, None]
        if self.weight is None:
            return normalised
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]

    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * values / (values - 1), self.momentum)
        self.num_batches_tracked += 1
