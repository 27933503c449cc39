"""DeepFool: repeated steps onto the nearest linearised decision boundary, until it is crossed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.approach import Record, approach
from attacks.minimal.boundaries import boundary_ahead, nearest_boundary
from attacks.minimal.nearest import Nearest, conclude, margins
from attacks.norms import L2, Budget, Norm, named_norm, per_sample
from attacks.objectives import rivals
from attacks.queue import drive
from attacks.samples import Samples

DEEPFOOL_NORMS = ("l2", "linf")
"""Names of the norms that it takes, its default first."""


def deepfool(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L2,
    steps: int = 50,
    num_candidates: int = 10,
    overshoot: float = 0.02,
    search_steps: int = 3,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Step onto the nearest linearised boundary until the image is misclassified (Moosavi-Dezfooli et al., 2016).

    Considers the label and the likeliest other classes of the clean image, `num_candidates` in all. The iterate lies at
    1 + `overshoot` times the sum of the steps. Each step is the shortest within [0, 1]; the paper ignores the bounds.
    The overshoot adds 2 % to the size; `search_steps` steps of a line search back to the image remove it (0: the
    paper's result), and on a linear network the distance is exact.

    A sample leaves when it is fooled. It costs one forward pass at first; each step two forward passes and a backward
    pass a candidate; the line search a forward pass a step. With `targeted` each step is onto the boundary between the
    label and the highest other class, for one backward pass.

    Without `eps` an image that is never fooled is returned unchanged. With `eps` a sample leaves once it is fooled
    within eps, and a result beyond eps, or one that does not fool, is projected. Nothing is drawn, so `indices` has no
    effect.
    """
    norm = named_norm(norm)
    if norm.name not in DEEPFOOL_NORMS:
        raise ValueError(f"deepfool has no {norm.name} form: choose from {', '.join(DEEPFOOL_NORMS)}")
    check_steps(steps=steps, num_candidates=num_candidates, overshoot=overshoot, search_steps=search_steps)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    moves = torch.zeros_like(samples.images)

    def way(samples: Samples, shares: Tensor) -> Tensor:
        return (samples.images + per_sample(shares, samples.images) * moves[samples.rows]).clamp(0, 1)

    with classifier.frozen():
        record = Record.look(classifier, samples, batch_size=batch_size)
        candidates = rivals(record.logits, samples.labels, num_candidates - 1)
        run = partial(crossings, classifier, norm, candidates, steps=steps, overshoot=overshoot, compact=compact)
        for state in run(record, record.open(), batch_size=batch_size):
            moves[state.samples.rows] = (1 + overshoot) * state.total
            record.add([state])
        approach(classifier, record, norm, way, steps=search_steps, batch_size=batch_size, compact=compact)
        return conclude(classifier, samples, norm, [record])


@dataclass(frozen=True)
class Crossing:
    """The state of DeepFool; one row a sample."""

    samples: Samples
    current: Tensor
    total: Tensor
    """(N, C, H, W): the sum of the steps, without overshoot."""
    nearest: Nearest
    step: Tensor
    done: Tensor

    @classmethod
    def of(cls, record: Record, samples: Samples) -> "Crossing":
        step = torch.zeros_like(samples.rows)
        return cls(samples, samples.images, torch.zeros_like(samples.images), record.of(samples), step, step > 0)


def crossings(
    classifier: Classifier,
    norm: Norm,
    candidates: Tensor,
    record: Record,
    samples: Samples,
    *,
    steps: int,
    overshoot: float,
    batch_size: int | None,
    compact: bool,
) -> Iterator[Crossing]:
    """Run DeepFool's steps on samples that are classified correctly, and yield their states as they leave.

    `candidates` (N of the whole call, K) are the other classes considered; states start from `record`.
    """
    return drive(
        samples,
        begin=partial(Crossing.of, record),
        advance=partial(_advance, classifier, norm, candidates, steps, overshoot),
        batch_size=batch_size,
        compact=compact,
    )


def _advance(
    classifier: Classifier, norm: Norm, candidates: Tensor, steps: int, overshoot: float, state: Crossing
) -> Crossing:
    samples, images = state.samples, state.samples.images

    # Step onto the boundary that is nearest, and a little beyond.
    if samples.targeted:
        boundary = boundary_ahead(classifier, samples, state.current)
    else:
        boundary = nearest_boundary(classifier, samples, state.current, candidates[samples.rows], norm)
    total = state.total + boundary.move_from(state.current, norm)
    current = (images + (1 + overshoot) * total).clamp(0, 1)

    # Classify, forwards only: most samples are fooled after a few steps, and need no gradient there.
    logits = classifier.logits(current, rows=samples.rows)
    fooled, stays = samples.fooled(logits), state.done[:, None, None, None]
    nearest = state.nearest.offered(
        samples,
        current,
        fooled=fooled,
        sizes=norm.size(current - images),
        values=margins(samples, logits),
        closed=state.done,
    )
    return replace(
        state,
        current=torch.where(stays, state.current, current),
        total=torch.where(stays, state.total, total),
        nearest=nearest,
        step=state.step + 1,
        done=state.done | fooled | nearest.settled | (state.step + 1 >= steps),
    )


def check_steps(*, steps: int, num_candidates: int, overshoot: float, search_steps: int) -> None:
    """Refuse options out of range, by name."""
    if steps < 1 or search_steps < 0:
        raise ValueError(f"steps must be 1 or more and search_steps 0 or more; got {steps} and {search_steps}")
    if num_candidates < 2:
        raise ValueError(f"num_candidates must be 2 or more, the label and one beside it; got {num_candidates}")
    if not 0 < overshoot < float("inf"):
        raise ValueError(f"overshoot must be finite and above 0, or nothing is crossed; got {overshoot}")
