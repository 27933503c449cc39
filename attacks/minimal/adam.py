"""Adam with a step count for each sample: samples of a batch join at different steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

_MEAN, _SQUARE, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Adam:
    """The moment estimates of Adam (Kingma & Ba, 2015)."""

    mean: Tensor
    """(N, C, H, W): the first moment."""
    square: Tensor
    """(N, C, H, W): the second moment."""

    @classmethod
    def of(cls, values: Tensor) -> "Adam":
        return cls(torch.zeros_like(values), torch.zeros_like(values))

    def move(self, gradient: Tensor, step: Tensor, length: float | Tensor) -> tuple["Adam", Tensor]:
        """Update the moments, and return them with the descent step; `step` (N,) from 0, `length` the learning rate."""
        mean = _MEAN * self.mean + (1 - _MEAN) * gradient
        square = _SQUARE * self.square + (1 - _SQUARE) * gradient * gradient
        count = (step + 1).to(gradient.dtype)
        slow = torch.as_tensor(length, dtype=gradient.dtype, device=gradient.device) / (1 - _MEAN**count)
        fast = (1 - _SQUARE**count).sqrt()
        root = square.sqrt() / fast[:, None, None, None] + _TINY
        return Adam(mean, square), -slow.reshape(-1, 1, 1, 1) * mean / root

    def restarted(self, ended: Tensor) -> "Adam":
        """Reset the moments to 0 where `ended` (N,)."""
        ended = ended[:, None, None, None]
        return Adam(torch.where(ended, 0, self.mean), torch.where(ended, 0, self.square))
