"""Square Attack: score-based random search with square windows; the only attack of AutoAttack without gradients."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks.black_box.first_look import first_look
from attacks.black_box.square_proposals import Blobs, Proposals, Stripes
from attacks.black_box.square_windows import Ahead
from attacks.classifier import Classifier
from attacks.norms import LINF, Budget, Norm, named_norm
from attacks.objectives import margin, wide
from attacks.queue import drive
from attacks.samples import Samples

_PROPOSALS: dict[str, Callable[..., Proposals]] = {
    "linf": Stripes,
    "l2": partial(Blobs, norm=2),
    "l1": partial(Blobs, norm=1),
}


@dataclass(frozen=True)
class _Search:
    samples: Samples
    ahead: Ahead
    best: Tensor
    """(N, C, H, W): the iterate."""
    value: Tensor
    """(N,): its score; minus infinity before it is queried."""
    spent: Tensor
    """(N,) queries."""
    done: Tensor


def square(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    queries: int = 5000,
    p_init: float = 0.8,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Change random square windows and keep what helps (Andriushchenko et al., 2020; l1: Croce & Hein, 2021).

    `queries` are the forward passes that a sample may spend: one on the clean image, one on the start, then one on each
    proposal; a sample leaves with the first that fools it. Windows first cover a share `p_init` of the image and shrink
    by the schedule of AutoAttack, whose defaults these are. A proposal is kept if it raises the margin or, with
    `targeted`, lowers the cross-entropy of the target. A sample that is never fooled is returned as the best found.

    Windows, signs and patterns depend on (seed, index, proposal) alone, so batches change nothing. Images need not be
    square, and windows reach every pixel.
    """
    norm = named_norm(norm)
    if norm.name not in _PROPOSALS:
        raise ValueError(f"square has no form for {norm.name}: choose from {', '.join(_PROPOSALS)}")
    if queries < 1:
        raise ValueError(f"queries must be 1 or more; got {queries}")
    if not 0 < p_init <= 1:
        raise ValueError(f"p_init must be above 0 and at most 1; got {p_init} (it is the share of the first windows)")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    if len(samples) == 0:
        return samples.images.clone()
    proposals = _PROPOSALS[norm.name](samples.images, p_init=p_init, seed=seed)

    def score(samples: Samples, logits: Tensor) -> Tensor:
        return samples.score(logits) if targeted else samples.objective(logits, loss=margin)

    def begin(fresh: Samples) -> _Search:
        never = torch.zeros_like(fresh.labels, dtype=torch.bool)
        unknown = torch.full_like(fresh.eps, -torch.inf)
        unknown = wide(unknown) if targeted else unknown
        ahead = proposals.lots.joined(fresh.indices)
        return _Search(fresh, ahead, proposals.start(fresh), unknown, torch.ones_like(fresh.labels), never)

    def advance(search: _Search) -> _Search:
        samples = search.samples
        ahead, draw = proposals.lots.next(search.ahead, samples.indices, search.spent)
        candidate = proposals.next(samples, search.best, draw)  # at first, the start itself
        logits = classifier.logits(candidate, rows=samples.rows)
        value, fooled = score(samples, logits), samples.fooled(logits)
        better = (fooled | (value > search.value)) & ~search.done
        spent = search.spent + 1
        return replace(
            search,
            ahead=ahead,
            best=torch.where(better[:, None, None, None], candidate, search.best),
            value=torch.where(better, value, search.value),
            spent=spent,
            done=search.done | fooled | (spent >= queries),
        )

    result = samples.images.clone()
    with classifier.frozen():
        left = first_look(classifier, samples, batch_size=batch_size)
        if queries > 1:
            for ended in drive(left, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
                result[ended.samples.rows] = ended.best
    return result
