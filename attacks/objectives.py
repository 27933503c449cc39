"""The losses that attacks maximise, and the test of success, as functions of logits.

A loss maps (N, classes) logits and (N,) labels to (N,) values, which grow as the image moves away from the label's
class or, with `targeted`, towards it. A constant added to all logits changes none of them.
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
    """Compute log((1 - p) / p) for the label's probability p: (N, classes) and (N,) to (N,) values.

    The cross-entropy of a sample is softplus(log_odds), a rising function of it. So both have the same maximiser, the
    same order among iterates and the same gradient direction, which is all that a normalised step uses. Unlike the
    cross-entropy, whose gradient rounds to 0 in float32 once p rounds to 1, this one does not vanish.
    """
    values: Tensor = _LogOdds.apply(logits, labels)
    return -values if targeted else values


class _LogOdds(torch.autograd.Function):
    """The log-odds with their derivative in closed form: the softmax over the other classes, and -1 at the label.

    Written out because it runs in every pass of most attacks; autograd would launch twice as many operators.
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
    """The highest other logit minus the label's (Carlini & Wagner, 2017): above 0 exactly where it is misclassified.

    With `targeted` the label's minus the highest other.
    """
    values = _others(logits, labels).amax(dim=1) - _at(logits, labels)
    return -values if targeted else values


def dlr(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The difference of logits ratio: the margin over (highest - third highest logit) (Croce & Hein, 2020).

    It is invariant to the scale of the logits too. With two classes there is no third, and this is the margin. With
    `targeted` it is `dlr_targeted` with the highest other class in place of the true label, which is not known here.
    """
    if targeted:
        return dlr_targeted(logits, _others(logits, labels).argmax(dim=1), labels)
    if logits.shape[1] < 3:
        return margin(logits, labels)
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / _distance(top[:, 0] - top[:, 2])


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The target's logit minus the label's, over (highest logit - mean of the third and fourth highest).

    As in AutoAttack (Croce & Hein, 2020), which needs four classes. With three classes the mean is that of the second
    and third: with the third alone, the loss of the least likely class as target would be -1 with a zero gradient. With
    two classes there is no denominator.
    """
    gain = _at(logits, targets) - _at(logits, labels)
    if logits.shape[1] < 3:
        return gain
    top = logits.topk(min(logits.shape[1], 4), dim=1).values
    return gain / _distance(top[:, 0] - top[:, -2:].mean(dim=1))


def _distance(between: Tensor) -> Tensor:
    """The denominator of DLR, kept above 0, and finite where one of the highest classes is masked by -inf."""
    return between.clamp(max=1 / _TINY) + _TINY


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """Compute KL(clean || adversarial) from two (N, classes) logits (TRADES: Zhang et al., 2019): (N,) values.

    The gradient with respect to the logits is rescaled for each sample so that its largest entry is 1: for confident or
    nearly equal predictions the true one rounds to 0 in float32, and a normalised step uses its direction alone. It is
    zero where both logits are equal, so an attack must not start at the image itself.
    """
    values: Tensor = _Divergence.apply(logits, clean)
    return values


class _Divergence(torch.autograd.Function):
    """The divergence, with its gradient written out: the difference of two probabilities in each class, 0 in sum.

    The entry of the likeliest class is minus the sum of the others: a difference of two probabilities near 1 would be
    lost to rounding.
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
    """Convert to float64, for differences that float32 would round away; unchanged on MPS, which has no float64."""
    return logits if logits.device.type == "mps" else logits.double()


LOSSES: dict[str, Loss] = {"ce": log_odds, "margin": margin, "dlr": dlr}
"""The losses that need labels alone, by name."""


def named_loss(loss: str) -> Loss:
    """The loss of that name; ValueError for an unknown one."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}: choose from {', '.join(LOSSES)}")
    return LOSSES[loss]


def fooled(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """Tell whether the predicted class is not the label or, with `targeted`, is the label: (N,) booleans.

    A NaN among a sample's logits never counts as success.
    """
    highest, reached = logits.max(dim=1)  # NaN where there is one
    return (reached == labels if targeted else reached != labels) & (highest == highest)


def _at(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of each label."""
    values: Tensor = _At.apply(logits, labels)
    return values


class _At(torch.autograd.Function):
    """`gather` with a deterministic backward pass, which also accepts labels made in inference mode."""

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
    """Mark the classes that an attack could make the prediction: (N, classes) logits to booleans, mostly all True.

    Ranked by logit, a class and all below it are ruled out where it lies further below its predecessor than four times
    the predecessor's distance from the highest: classes that no image has, or that were masked. The three highest
    always count.
    """
    ranked = logits.sort(dim=1, descending=True).values
    falls = ranked[:, :1] - ranked
    hopeless = (falls[:, 3:] > (1 + _GAP) * falls[:, 2:-1]).to(torch.int8).cummax(dim=1).values
    least = torch.where(hopeless > 0, torch.inf, ranked[:, 3:])
    return logits >= torch.cat([ranked[:, :3], least], dim=1).amin(dim=1, keepdim=True)


def rivals(logits: Tensor, labels: Tensor, most: int) -> Tensor:
    """The classes other than the label, likeliest first: (N, min(most, classes - 1)) int64."""
    lowest = -torch.finfo(logits.dtype).max  # of what is no number, and of a class that is masked by -inf
    others = logits.nan_to_num(nan=lowest, neginf=lowest).scatter(1, labels[:, None], -torch.inf)
    ranked = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, : min(most, logits.shape[1] - 1)]
