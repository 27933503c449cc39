"""What an attack wants large, and when it has reached its aim, as functions of logits.

A loss takes (N, classes) logits and (N,) labels to (N,) values, which grow as the label is left or, with `targeted`, as
it is reached. A constant added to all logits changes none of them.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-12  # keeps a ratio of equal logits finite


class Loss(Protocol):
    """(N, classes) logits and (N,) labels to the (N,) values that an attack wants large."""

    def __call__(self, logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor: ...


def log_odds(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The log-odds of all other classes together against the label: (N, classes) and (N,) to (N,) values.

    The cross-entropy of a sample is softplus(log_odds), a rising function of it. So both have the same maximiser, the
    same order among iterates and the same gradient direction, which is all that a normalised step uses. Unlike the
    cross-entropy, whose gradient rounds to 0 in float32 once the label's probability rounds to 1, this one never fades.
    """
    values = _others(logits, labels).logsumexp(dim=1) - _at(logits, labels)
    return -values if targeted else values


def cross_entropy(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The cross-entropy itself, for attacks that average gradients of several passes, where their lengths matter.

    Computed from the log-odds, so that it fades only where e^log_odds is no number any more.
    """
    values = log_odds(logits, labels)
    values = torch.logaddexp(values, torch.zeros_like(values))
    return -values if targeted else values


def margin(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The highest other logit minus the label's (Carlini & Wagner, 2017): above 0 exactly where it is left.

    With `targeted` the label's minus the highest other.
    """
    values = _others(logits, labels).amax(dim=1) - _at(logits, labels)
    return -values if targeted else values


def dlr(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The margin over the distance from the first to the third logit in order (Croce & Hein, 2020).

    A factor on all logits changes nothing either. With two classes there is no third, and this is the margin. With
    `targeted` it is `dlr_targeted` against the highest other class, since (N,) labels are all that is known.
    """
    if targeted:
        return dlr_targeted(logits, _others(logits, labels).argmax(dim=1), labels)
    if logits.shape[1] < 3:
        return margin(logits, labels)
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + _TINY)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The target's logit minus the label's, over the distance from the first to the mean of the third and fourth.

    As in AutoAttack (Croce & Hein, 2020), which needs four classes. With three the mean is that of the second and the
    third: over the distance to the third alone, the least likely class as target would give -1 without a gradient. With
    two classes there is no denominator.
    """
    gain = _at(logits, targets) - _at(logits, labels)
    if logits.shape[1] < 3:
        return gain
    top = logits.topk(min(logits.shape[1], 4), dim=1).values
    return gain / (top[:, 0] - top[:, -2:].mean(dim=1) + _TINY)


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """The divergence KL(clean || adversarial) of two (N, classes) logits (TRADES: Zhang et al., 2019), (N,) values.

    It has no gradient where both are equal, so that an attack has to start beside the image.
    """
    return F.kl_div(logits.log_softmax(dim=1), clean.log_softmax(dim=1), reduction="none", log_target=True).sum(dim=1)


LOSSES: dict[str, Loss] = {"ce": log_odds, "margin": margin, "dlr": dlr}
"""The losses of labels by name."""


def named_loss(loss: str) -> Loss:
    """The loss of that name; ValueError for an unknown one."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}: choose from {', '.join(LOSSES)}")
    return LOSSES[loss]


def fooled(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """Whether the largest logit is elsewhere than at the label or, with `targeted`, at the label: (N,) booleans.

    A sample with a NaN among its logits is never fooled: an answer that is no answer is no success.
    """
    reached = logits.argmax(dim=1) == labels
    return (reached if targeted else ~reached) & ~logits.isnan().any(dim=1)


def _at(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of each label. Not by `gather`, which cannot keep labels of inference mode for its backward pass."""
    return torch.where(_one_hot(logits, labels), logits, 0).sum(dim=1)


def _others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits with -inf at the label."""
    return logits.masked_fill(_one_hot(logits, labels), -torch.inf)


def _one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    return labels[:, None] == torch.arange(logits.shape[1], device=logits.device)


def rivals(logits: Tensor, labels: Tensor, most: int) -> Tensor:
    """The likeliest classes beside the label, in order: (N, min(most, classes - 1))."""
    others = logits.scatter(1, labels[:, None], -torch.inf).nan_to_num(nan=-torch.finfo(logits.dtype).max)
    ranked = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, : min(most, logits.shape[1] - 1)]
