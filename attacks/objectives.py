"""What an attack wants large, and when it has reached its aim, as functions of logits."""

import torch
from torch import Tensor


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """The log-odds of all other classes together against the label: (N, classes) and (N,) to (N,) values.

    The cross-entropy of a sample is softplus(log_odds), a rising function of it. So both have the same maximiser, the
    same order among iterates and the same gradient direction, which is all that a normalised step uses. Unlike the
    cross-entropy, whose gradient rounds to 0 in float32 once the label's probability rounds to 1, this one never fades.
    A constant added to all logits changes nothing.
    """
    label = labels[:, None] == torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(label, -torch.inf).logsumexp(dim=1) - torch.where(label, logits, 0).sum(dim=1)


def fooled(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """Whether the largest logit is elsewhere than at the label or, with `targeted`, at the label: (N,) booleans.

    A sample with a NaN among its logits is never fooled: an answer that is no answer is no success.
    """
    reached = logits.argmax(dim=1) == labels
    return (reached if targeted else ~reached) & ~logits.isnan().any(dim=1)
