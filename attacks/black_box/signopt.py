"""Sign-OPT: search for the direction in which the decision boundary is nearest, from decisions alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.black_box.boundary_search import Nearest, Oracle, checked_starts, nearest
from attacks.classifier import Classifier
from attacks.norms import L2, Budget, Norm, named_norm, per_sample
from attacks.queue import drive
from attacks.samples import Samples

_TRIALS = 12  # step sizes tried in one step's line search
_TOLERANCE = 1e-5
_WIDEST, _NARROWEST = 1e-2, 1e-5  # the probes' radius around the unit direction: first, and at convergence


@dataclass(frozen=True)
class _Aim:
    near: Nearest
    direction: Tensor
    """(N, C, H, W) of l2 norm 1, from the clean image."""
    distance: Tensor
    """(N,) the smallest distance in this direction that was found to fool."""
    length: Tensor
    """(N,) the step size that the next line search starts with."""
    spread: Tensor
    """(N,) the radius of the probes around the direction."""
    done: Tensor

    @property
    def samples(self) -> Samples:
        return self.near.samples


def signopt(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L2,
    queries: int = 5000,
    probes: int = 200,
    starts: Tensor | None = None,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Minimise the distance to the boundary over directions by sign gradient estimates (Cheng et al., 2020); l2.

    One query gives the sign of a directional derivative: a perturbed direction is better if the image at the current
    distance fools. A step averages `probes` such signs, follows the estimate by a line search, and measures the new
    distance by bisection. Where no step size helps, the radius of the next probes is ten times smaller; a sample leaves
    at the smallest radius. Options and result otherwise as in `hopskipjump`.
    """
    norm = named_norm(norm)
    if norm.name != "l2":
        raise ValueError(f"signopt has no form for {norm.name}: choose l2, or hopskipjump for linf")
    if probes < 1:
        raise ValueError(f"probes must be 1 or more; got {probes}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    oracle, starts = Oracle(classifier, norm, queries), checked_starts(starts, samples.images)

    def unit(direction: Tensor) -> Tensor:
        return direction / per_sample(norm.size(direction).clamp(min=1e-30), direction)

    def begin(fresh: Samples) -> _Aim:
        near = oracle.start(fresh, starts=starts, seed=seed)
        direction, far = unit(near.image - fresh.images), near.size.nan_to_num(posinf=0)

        def along(radius: Tensor) -> Tensor:
            return (fresh.images + per_sample(radius, direction) * direction).clamp(0, 1)

        near, distance = oracle.bisect(near, along, far, _TOLERANCE, near.found)
        ones = torch.ones_like(distance)
        return _Aim(near, direction, distance, 0.2 * ones, _WIDEST * ones, ~(oracle.open(near) & near.found))

    def advance(aim: _Aim) -> _Aim:
        near, images = aim.near, aim.samples.images
        direction, distance, length = aim.direction, aim.distance, aim.length

        # Probe: which perturbed directions bring the boundary nearer?
        def place(vectors: Tensor) -> tuple[Tensor, Tensor]:
            turned = direction[:, None] + per_sample(aim.spread, images)[:, None] * vectors
            turned = unit(turned.flatten(0, 1)).reshape(vectors.shape)
            return (images[:, None] + per_sample(aim.distance, images)[:, None] * turned).clamp(0, 1), vectors

        left = oracle.left(near)
        wanted = torch.where(aim.done, 0, (left - left // 4).clamp(max=probes))
        near, climb = oracle.climb(near, place, wanted, seed=seed)
        move = norm.steepest(climb, images, 1.0)

        # Line search: double the step while it helps, quarter it until it does.
        trying, helped = ~aim.done, torch.zeros_like(aim.done)
        for _ in range(_TRIALS):
            turned = unit(aim.direction + per_sample(length, images) * move)

            def along(radius: Tensor, turned: Tensor = turned) -> Tensor:
                return (images + per_sample(radius, images) * turned).clamp(0, 1)

            near, helps = oracle.ask(near, along(distance), trying)
            near, shorter = oracle.bisect(near, along, distance, _TOLERANCE, helps)
            direction = torch.where(helps[:, None, None, None], turned, direction)
            distance = torch.where(helps, shorter, distance)
            trying, helped = trying & (helps | ~helped), helped | helps
            length = torch.where(helps, 2 * length, torch.where(trying, length / 4, length))

        spread = torch.where(helped, aim.spread, aim.spread / 10)
        done = aim.done | ~oracle.open(near) | (spread < _NARROWEST)
        return _Aim(near, direction, distance, torch.where(helped, length / 2, 0.2), spread, done)

    with classifier.frozen():
        aims = drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact)
        return nearest(samples, norm, aims)
