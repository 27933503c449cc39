"""Historical averaging: pull parameters towards their mean over training (Salimans et al., 2016, section 3.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def distance_from_mean(parameters: Sequence[Tensor], means: Sequence[Tensor]) -> Tensor:
    """The penalty: the sum of squared differences of parameters and means, differentiable in the parameters."""
    return torch.stack([(now - mean).square().sum() for now, mean in zip(parameters, means, strict=True)]).sum()


@torch.no_grad()
def remember(means: Sequence[Tensor], parameters: Sequence[Tensor], *, step: int) -> None:
    """Update the means over steps in place with the parameters of step number `step`, counted from 1."""
    torch._foreach_lerp_(list(means), list(parameters), 1 / step)
