"""Arrays and lists of numbers as the tensors that everything here computes with."""

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: object, option: str) -> Tensor:
    """Return a tensor as it is; copy an array, tensors of one shape or nested lists of numbers into a new one.

    Arrays and lists of numbers land on the CPU.

    Nothing is rescaled or cast, so later checks of range and dtype treat an array like a tensor. Raises ValueError,
    naming `option`, for anything else.
    """
    if isinstance(values, Tensor):
        return values
    try:
        if isinstance(values, (list, tuple)) and values and all(isinstance(one, Tensor) for one in values):
            return torch.stack([one.detach() for one in values])
        return torch.from_numpy(np.array(values, order="C"))  # a copy: arrays may be read-only, or run backwards
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{option} must be a tensor, an array, or lists of numbers of one shape; got a {type(values).__name__}"
        ) from None
