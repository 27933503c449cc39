"""FAB: repeated projections onto the linearised decision boundary, biased towards the clean image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.approach import Record, approach
from attacks.minimal.boundaries import Boundary, boundary_ahead, boundary_to, nearest_boundary
from attacks.minimal.hyperplanes import HYPERPLANE_NORMS
from attacks.minimal.nearest import Nearest, conclude, margins
from attacks.norms import LINF, Budget, Norm, named_norm, per_sample
from attacks.objectives import rivals
from attacks.queue import drive
from attacks.samples import Samples

_RADIUS = {"linf": 0.3, "l2": 1.0, "l1": 5.0}
"""Radius of random starts where there is no eps: the authors' values."""
_LEAST = 1e-8  # lower bound on the length of a projection, so that the mixing weight is never 0 / 0

Look = Callable[[Samples, Tensor], Boundary]
"""(samples, points) -> the linearised boundary to project onto."""


def fab(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = LINF,
    steps: int = 100,
    restarts: int = 1,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
    search_steps: int = 3,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the nearest image that fools, towards whichever class is nearest (Croce & Hein, 2020).

    Every step linearises the boundary, projects both the iterate and the clean image onto it within [0, 1],
    extrapolates both projections by `eta`, and mixes them with a weight of at most `alpha_max` for the image's. The
    perturbation of an iterate that fools is first scaled by `beta`. `search_steps` steps of a line search between the
    clean image and the result follow.

    Costs a forward pass and a backward pass for each class in each step; `fab_t` needs one backward pass. `targeted`
    takes the boundary between the label and the highest other class, and needs one too. Without `eps` the smallest
    change is searched, and an image that is never fooled is returned unchanged. With `eps` a sample leaves at the first
    image within it that fools; where there is none, the best try is projected. The first restart starts at the clean
    image; the others are drawn from a ball of half the radius eps (without eps the authors' 0.3, 1 and 5 in linf, l2
    and l1), or half the smallest size found where that is less, and depend on (seed, index, restart) alone.
    """
    norm = named_norm(norm)
    _check(norm, steps, restarts, search_steps, alpha_max=alpha_max, eta=eta, beta=beta)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)

    def looks(record: Record) -> list[Look]:
        others = rivals(record.logits, record.samples.labels, record.logits.shape[1])
        if targeted:
            return [lambda samples, points: boundary_ahead(classifier, samples, points)]
        return [lambda samples, points: nearest_boundary(classifier, samples, points, others[samples.rows], norm)]

    return _search(
        classifier,
        samples,
        norm,
        looks,
        pace=_Pace(steps, alpha_max, eta, beta),
        restarts=restarts,
        search_steps=search_steps,
        seed=seed,
        batch_size=batch_size,
        compact=compact,
    )


def fab_t(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = LINF,
    steps: int = 100,
    restarts: int = 1,
    num_targets: int = 9,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
    search_steps: int = 3,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the nearest image that fools, towards one likely class after the other (Croce & Hein, 2020).

    Runs `fab`, with its other options, once towards each of the `num_targets` likeliest wrong classes of the clean
    image (all, where there are fewer), so that a step costs one forward and one backward pass however many classes
    there are. An iterate of any wrong class counts as success. Nine targets are what AutoAttack takes.
    """
    norm = named_norm(norm)
    _check(norm, steps, restarts, search_steps, alpha_max=alpha_max, eta=eta, beta=beta)
    if num_targets < 1:
        raise ValueError(f"num_targets must be 1 or more; got {num_targets}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=False, indices=indices)

    def looks(record: Record) -> list[Look]:
        labels = record.samples.labels
        targets = rivals(record.logits, labels, num_targets)

        def towards(pairs: Tensor, samples: Samples, points: Tensor) -> Boundary:
            return boundary_to(classifier, samples, points, pairs[samples.rows])

        return [partial(towards, torch.stack([target, labels], dim=1)) for target in targets.unbind(dim=1)]

    return _search(
        classifier,
        samples,
        norm,
        looks,
        pace=_Pace(steps, alpha_max, eta, beta),
        restarts=restarts,
        search_steps=search_steps,
        seed=seed,
        batch_size=batch_size,
        compact=compact,
    )


@dataclass(frozen=True)
class _Pace:
    """The options of a step."""

    steps: int
    alpha_max: float
    eta: float
    beta: float


def _search(
    classifier: Classifier,
    samples: Samples,
    norm: Norm,
    looks: Callable[[Record], list[Look]],
    *,
    pace: _Pace,
    restarts: int,
    search_steps: int,
    seed: int,
    batch_size: int | None,
    compact: bool,
) -> Tensor:
    """Run once for each target and each restart over the samples not settled yet, then the final line search."""
    with classifier.frozen():
        record = Record.look(classifier, samples, batch_size=batch_size)
        for number, look in enumerate(looks(record)):
            for restart in range(restarts):
                start = partial(_start, norm, record, seed, number * 2**20 + restart) if restart else _at_image
                record.add(
                    drive(
                        record.open(),
                        begin=partial(_Walk.of, record, start),
                        advance=partial(_advance, norm, look, pace),
                        batch_size=batch_size,
                        compact=compact,
                    )
                )

        def straight(samples: Samples, shares: Tensor) -> Tensor:
            images = samples.images
            return (images + per_sample(shares, images) * (found[samples.rows] - images)).clamp(0, 1)

        found = record.nearest.images.clone()
        approach(classifier, record, norm, straight, steps=search_steps, batch_size=batch_size, compact=compact)
        return conclude(classifier, samples, norm, [record])


def _at_image(samples: Samples) -> Tensor:
    return samples.images


def _start(norm: Norm, record: Record, seed: int, stream: int, samples: Samples) -> Tensor:
    """Draw from a ball of half the radius eps, or of half the smallest size found so far where that is less."""
    radius = torch.where(samples.eps.isinf(), _RADIUS[norm.name], samples.eps).minimum(record.of(samples).sizes)
    return norm.random_start(samples.images, radius / 2, seed=seed, indices=samples.indices, stream=stream)


@dataclass(frozen=True)
class _Walk:
    samples: Samples
    current: Tensor
    nearest: Nearest
    step: Tensor
    done: Tensor

    @classmethod
    def of(cls, record: Record, start: Callable[[Samples], Tensor], samples: Samples) -> "_Walk":
        step = torch.zeros_like(samples.rows)
        return cls(samples, start(samples), record.of(samples), step, step > 0)


def _advance(norm: Norm, look: Look, pace: _Pace, state: _Walk) -> _Walk:
    samples, images = state.samples, state.samples.images

    # Evaluate: one pass tells whether the iterate fools and where the boundary is.
    boundary, delta = look(samples, state.current), state.current - images
    fooled = samples.fooled(boundary.logits)
    nearest = state.nearest.offered(
        samples,
        state.current,
        fooled=fooled,
        sizes=norm.size(delta),
        values=margins(samples, boundary.logits),
        closed=state.done,
    )

    # Backward step: shrink the perturbation of an iterate that fools.
    base = torch.where(fooled[:, None, None, None], images + pace.beta * delta, state.current)

    # Step onto the boundary, from the iterate and a little from the image.
    starts = torch.stack([base, images])
    moves = boundary.moves_from(starts, norm)
    near, far = norm.size(moves.flatten(0, 1)).clamp(min=_LEAST).chunk(2)
    alpha = per_sample((near / (near + far)).clamp(max=pace.alpha_max), images)
    ends = starts + pace.eta * moves
    mixed = ends[0] * (1 - alpha) + ends[1] * alpha
    done = nearest.settled | (state.step >= pace.steps)  # one evaluation more than steps, at the last iterate
    return replace(state, current=mixed.clamp(0, 1), nearest=nearest, step=state.step + 1, done=done)


def _check(
    norm: Norm, steps: int, restarts: int, search_steps: int, *, alpha_max: float, eta: float, beta: float
) -> None:
    if norm.name not in HYPERPLANE_NORMS:
        raise ValueError(f"fab has no {norm.name} form: choose from {', '.join(HYPERPLANE_NORMS)}")
    if steps < 1 or restarts < 1 or search_steps < 0:
        raise ValueError(
            f"steps and restarts must be 1 or more, search_steps 0 or more; got {steps}, {restarts}, {search_steps}"
        )
    if not 0 <= alpha_max <= 1:
        raise ValueError(f"alpha_max must be between 0 and 1; got {alpha_max}")
    if not eta >= 1:
        raise ValueError(f"eta must be 1 or more: less does not reach the boundary; got {eta}")
    if not 0 < beta < 1:
        raise ValueError(f"beta must be between 0 and 1; got {beta}")
