"""Historical averaging: hold a player near the mean of what it has been (Salimans et al., 2016, section 3.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def distance_from_mean(parameters: Sequence[Tensor], means: Sequence[Tensor]) -> Tensor:
    """Sum of squared differences, differentiable in the parameters."""
    return torch.stack([(now - mean).square().sum() for now, mean in zip(parameters, means, strict=True)]).sum()


@torch.no_grad()
def remember(means: Sequence[Tensor], parameters: Sequence[Tensor], *, step: int) -> None:
    """Move the means in place to those over the first `step` values; the value given is the last of them."""
    torch._foreach_lerp_(list(means), list(parameters), 1 / step)
