"""SparseFool: l1 projections onto the boundary linearised where DeepFool crosses it, which change few pixels."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.approach import Record, approach
from attacks.minimal.boundaries import boundary_ahead
from attacks.minimal.deepfool import check_steps, crossings
from attacks.minimal.hyperplanes import move_onto
from attacks.minimal.nearest import Nearest, conclude, margins
from attacks.norms import L1, L2, Budget, Norm, named_norm
from attacks.objectives import rivals
from attacks.queue import drive
from attacks.samples import Samples

_INNER_STEPS = 50


def sparsefool(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L1,
    steps: int = 20,
    num_candidates: int = 10,
    overshoot: float = 0.02,
    depth: float = 3.0,
    search_steps: int = 3,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Change few pixels, each up to its bounds, until the image is misclassified (Modas et al., 2019); in l1 alone.

    A step takes the iterate over the boundary with DeepFool in l2, extrapolates by `depth` (the paper's lambda),
    linearises the boundary there, and projects the clean image onto that hyperplane in l1 within [0, 1]: the pixel with
    the largest gradient moves to its bound, then the next. A larger depth needs fewer steps and changes more pixels.
    `search_steps` steps of a line search then look for a parallel hyperplane nearer to the image that still fools (0:
    the paper's result). The number of changed pixels is not bounded; measure it in the norm l0.

    A sample leaves when it is fooled. A step costs one run of DeepFool, a backward pass and two forward passes. Without
    `eps` an image that is never fooled is returned unchanged. With `eps` a result beyond it, or one that does not fool,
    is projected. Nothing is drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    if norm.name != "l1":
        raise ValueError(f"sparsefool has no {norm.name} form: its norm is l1")
    check_steps(steps=steps, num_candidates=num_candidates, overshoot=overshoot, search_steps=search_steps)
    if not 1 <= depth < float("inf"):
        raise ValueError(f"depth must be finite and 1 or more: less does not reach the boundary; got {depth}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    normals, values = torch.zeros_like(samples.images), torch.zeros_like(samples.eps)

    def way(samples: Samples, shares: Tensor) -> Tensor:
        return _reached(samples, normals[samples.rows], shares * values[samples.rows])

    with classifier.frozen():
        record = Record.look(classifier, samples, batch_size=batch_size)
        candidates = rivals(record.logits, samples.labels, num_candidates - 1)
        for state in drive(
            record.open(),
            begin=partial(_State.of, record),
            advance=partial(_advance, classifier, record, candidates, steps, overshoot, depth, compact),
            batch_size=batch_size,
            compact=compact,
        ):
            normals[state.samples.rows], values[state.samples.rows] = state.normals, state.values
            record.add([state])
        approach(classifier, record, norm, way, steps=search_steps, batch_size=batch_size, compact=compact)
        return conclude(classifier, samples, norm, [record])


@dataclass(frozen=True)
class _State:
    samples: Samples
    current: Tensor
    normals: Tensor
    """(N, C, H, W): the normal of the last hyperplane."""
    values: Tensor
    """(N,): its linear function at the clean image."""
    nearest: Nearest
    step: Tensor
    done: Tensor

    @classmethod
    def of(cls, record: Record, samples: Samples) -> "_State":
        step, nothing = torch.zeros_like(samples.rows), torch.zeros_like(samples.images)
        values = torch.zeros_like(samples.eps)
        return cls(samples, samples.images, nothing, values, record.of(samples), step, step > 0)


def _advance(
    classifier: Classifier,
    record: Record,
    candidates: Tensor,
    steps: int,
    overshoot: float,
    depth: float,
    compact: bool,
    state: _State,
) -> _State:
    samples, images = state.samples, state.samples.images

    # Cross the boundary from the iterate with DeepFool, and extrapolate.
    inside = replace(samples, images=state.current, eps=torch.full_like(samples.eps, torch.inf))
    over = torch.zeros_like(record.samples.images)
    run = partial(crossings, classifier, L2, candidates, record, inside, steps=_INNER_STEPS, overshoot=overshoot)
    for crossing in run(batch_size=None, compact=compact):
        over[crossing.samples.rows] = crossing.current
    deep = (state.current + depth * (over[samples.rows] - state.current)).clamp(0, 1)

    # Project the clean image onto the hyperplane through that point, in l1.
    boundary = boundary_ahead(classifier, samples, deep)
    values = (1 + overshoot) * (boundary.normals * (images - deep)).sum(dim=(1, 2, 3))
    current = _reached(samples, boundary.normals, values)

    # Look.
    logits = classifier.logits(current, rows=samples.rows)
    fooled, stays = samples.fooled(logits), state.done
    nearest = state.nearest.offered(
        samples,
        current,
        fooled=fooled,
        sizes=L1.size(current - images),
        values=margins(samples, logits),
        closed=state.done,
    )
    return replace(
        state,
        current=torch.where(stays[:, None, None, None], state.current, current),
        normals=torch.where(stays[:, None, None, None], state.normals, boundary.normals),
        values=torch.where(stays, state.values, values),
        nearest=nearest,
        step=state.step + 1,
        done=state.done | fooled | nearest.settled | (state.step + 1 >= steps),
    )


def _reached(samples: Samples, normals: Tensor, values: Tensor) -> Tensor:
    return (samples.images + move_onto(L1, samples.images, normals, values)).clamp(0, 1)
