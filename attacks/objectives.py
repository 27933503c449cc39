"""What an attack wants large, and when it has reached its aim, as functions of logits.

A loss takes (N, classes) logits and (N,) labels to (N,) values, which grow as the label is left or, with `targeted`, as
it is reached. A constant added to all logits changes none of them.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_GAP = 4.0  # of logits, in units of the range above it
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
    values: Tensor = _LogOdds.apply(logits, labels)
    return -values if targeted else values


class _LogOdds(torch.autograd.Function):
    """The log-odds, whose derivative is known: the share of each other class among them, and -1 at the label.

    Written out since it runs in every pass of most attacks, and takes half of the operators that autograd makes of it.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        seats = labels[:, None]
        others = logits.scatter(1, seats, -torch.inf)
        # logsumexp; an infinite maximum has to stay out of the difference.
        most = torch.finfo(logits.dtype).max
        highest = others.amax(dim=1, keepdim=True).clamp_(-most, most)
        total = (others - highest).exp_().sum(dim=1, keepdim=True).log_().add_(highest)
        ctx.others, ctx.total, ctx.seats = others, total, seats
        return (total - logits.gather(1, seats)).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        slope = (ctx.others - ctx.total).exp_().scatter_(1, ctx.seats, -1)
        return slope.mul_(gradient[:, None]), None


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
    return margin(logits, labels) / _distance(top[:, 0] - top[:, 2])


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
    return gain / _distance(top[:, 0] - top[:, -2:].mean(dim=1))


def _distance(between: Tensor) -> Tensor:
    """What DLR divides by: above 0, and finite where a class among the first is masked by -inf."""
    return between.clamp(max=1 / _TINY) + _TINY


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """The divergence KL(clean || adversarial) of two (N, classes) logits (TRADES: Zhang et al., 2019), (N,) values.

    Its gradient is that of the divergence in direction alone: the largest entry of each sample's is 1, since that of a
    confident answer, like the difference of two answers without preference, rounds to 0 in float32. A normalised step
    uses no more of it. There is none where both logits are equal, so that an attack has to start beside the image.
    """
    values: Tensor = _Divergence.apply(logits, clean)
    return values


class _Divergence(torch.autograd.Function):
    """The divergence, whose slope is the difference of two probabilities a class, and 0 in sum.

    The one of the likeliest class is what all others lack: there, a difference from 1 would be lost.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, clean: Tensor) -> Tensor:
        found, before = wide(logits).log_softmax(dim=1), wide(clean).log_softmax(dim=1)
        ctx.found, ctx.before = found, before
        return F.kl_div(found, before, reduction="none", log_target=True).sum(dim=1).to(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        seats = ctx.before.argmax(dim=1, keepdim=True)
        found, before = (each.scatter(1, seats, -torch.inf) for each in (ctx.found, ctx.before))
        unit = found.maximum(before).amax(dim=1, keepdim=True)
        slope = (found - unit).exp_() - (before - unit).exp_()
        slope.scatter_(1, seats, -slope.sum(dim=1, keepdim=True))
        largest = slope.abs().amax(dim=1, keepdim=True)
        return slope.div_(largest + (largest == 0)).to(gradient).mul_(gradient[:, None]), None


def wide(logits: Tensor) -> Tensor:
    """In float64, for differences that float32 would round away; MPS has none."""
    return logits if logits.device.type == "mps" else logits.double()


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
    highest, reached = logits.max(dim=1)  # NaN where there is one
    return (reached == labels if targeted else reached != labels) & (highest == highest)


def _at(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of each label."""
    values: Tensor = _At.apply(logits, labels)
    return values


class _At(torch.autograd.Function):
    """`gather`, whose own backward pass adds up in no order, and cannot keep labels of inference mode."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        ctx.seats, ctx.shape = labels[:, None], logits.shape
        return logits.gather(1, ctx.seats).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.new_zeros(ctx.shape).scatter_(1, ctx.seats, gradient[:, None]), None


def _others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits with -inf at the label."""
    seats = labels.clone() if labels.is_inference() else labels
    return logits.scatter(1, seats[:, None], -torch.inf)


def contenders(logits: Tensor) -> Tensor:
    """Which classes can come to win: (N, classes) logits to booleans, all True for most networks.

    Those below a gap of more than four times the distance from the highest logit to the one above it cannot, as classes
    of no image or such that were masked. The three highest always count.
    """
    ranked = logits.sort(dim=1, descending=True).values
    falls = ranked[:, :1] - ranked
    hopeless = (falls[:, 3:] > (1 + _GAP) * falls[:, 2:-1]).to(torch.int8).cummax(dim=1).values
    least = torch.where(hopeless > 0, torch.inf, ranked[:, 3:])
    return logits >= torch.cat([ranked[:, :3], least], dim=1).amin(dim=1, keepdim=True)


def rivals(logits: Tensor, labels: Tensor, most: int) -> Tensor:
    """The likeliest classes beside the label, in order: (N, min(most, classes - 1))."""
    lowest = -torch.finfo(logits.dtype).max  # of what is no number, and of a class that is masked by -inf
    others = logits.nan_to_num(nan=lowest, neginf=lowest).scatter(1, labels[:, None], -torch.inf)
    ranked = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, : min(most, logits.shape[1] - 1)]
