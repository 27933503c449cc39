"""Adam with one row a sample: torch's own counts steps for a whole tensor, and samples of a batch differ in theirs."""

from dataclasses import dataclass

import torch
from torch import Tensor

_MEAN, _SQUARE, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Adam:
    """The moments of Kingma & Ba (2015)."""

    mean: Tensor
    """(N, C, H, W)."""
    square: Tensor
    """(N, C, H, W)."""

    @classmethod
    def of(cls, values: Tensor) -> "Adam":
        return cls(torch.zeros_like(values), torch.zeros_like(values))

    def move(self, gradient: Tensor, step: Tensor, length: float | Tensor) -> tuple["Adam", Tensor]:
        """The moments after the gradient of step 0, 1, ... (N,), and the descent from them, of that (N,) length."""
        mean = _MEAN * self.mean + (1 - _MEAN) * gradient
        square = _SQUARE * self.square + (1 - _SQUARE) * gradient * gradient
        count = (step + 1).to(gradient.dtype)
        slow = torch.as_tensor(length, dtype=gradient.dtype, device=gradient.device) / (1 - _MEAN**count)
        fast = (1 - _SQUARE**count).sqrt()
        root = square.sqrt() / fast[:, None, None, None] + _TINY
        return Adam(mean, square), -slow.reshape(-1, 1, 1, 1) * mean / root

    def restarted(self, ended: Tensor) -> "Adam":
        """Forget the moments where a descent has ended."""
        ended = ended[:, None, None, None]
        return Adam(torch.where(ended, 0, self.mean), torch.where(ended, 0, self.square))
