"""Adversarial patches: a small square of unrestricted pixels, one per image or one for all images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from attacks import random
from attacks.arrays import as_tensor
from attacks.classifier import Classifier
from attacks.gradient.ascent import unit_mean
from attacks.norms import L1, LINF
from attacks.objectives import Loss, log_odds, margin
from attacks.queue import drive
from attacks.samples import Samples
from attacks.unbounded.weightings import WEIGHTINGS, Weighting, standings
from attacks.warp import centred, sampled

_FINAL = 1 << 40  # the stream of the placement in the result, held out from training
_TRIES = 4  # further held-out placements, at which two shared patches are compared


class _Plan(NamedTuple):
    """How a patch is placed and trained."""

    side: int
    random_placement: bool
    max_rotation: float
    min_scale: float
    steps: int
    step_size: float
    momentum: float
    seed: int

    def stream(self, step: Tensor) -> Tensor:
        """The stream of the placement at a step."""
        return step if self.random_placement else torch.zeros_like(step)

    def length(self, step: Tensor | int) -> Tensor | float:
        """The step size, which falls linearly to 0 over the steps so that the patch converges."""
        return self.step_size * (1 - step / self.steps)


@dataclass(frozen=True)
class _Search:
    """One row a sample; `patches` (N, C, side, side) in [0, 1]."""

    samples: Samples
    patches: Tensor
    climb: Tensor
    step: Tensor
    done: Tensor


def patch(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    area: float = 0.1,
    shared: bool = False,
    random_placement: bool = True,
    max_rotation: float = 0.0,
    min_scale: float = 1.0,
    steps: int = 100,
    step_size: float = 0.05,
    momentum: float = 0.9,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Replace a square of about `area` (a share of the image) by an adversarial patch (Brown et al., 2017).

    With `random_placement` the patch must work anywhere: every step places it at random, rotated by up to
    `max_rotation` degrees and scaled to between `min_scale` and 1 times its side (expectation over transformation,
    Athalye et al., 2018), and the result shows it at a placement held out from training. So the success rate is that of
    a random placement. Without, each sample's place is fixed, and a sample leaves with the first step that fools
    (LaVAN: Karmon et al., 2018).

    Each sample has its own patch, unless `shared`: then all images of the call share one, and a sample's result depends
    on the others. A shared patch is trained twice, weighting all images alike and those nearest to the boundary first
    (`attacks.unbounded.weightings`), and the one that fools more is taken; `trained_patch` returns it.

    Pixels outside the square stay exactly as they are. Placements depend on (seed, index, step) alone. Patches start
    grey and step by `step_size`, falling linearly to 0, along the sign of gradients accumulated with `momentum`, which
    averages over the placements of about ten steps.
    """
    images = as_tensor(images, "images")
    plan = _Plan(_side(area, images), random_placement, max_rotation, min_scale, steps, step_size, momentum, seed)
    _check(plan)
    samples = Samples.of(images, labels, eps=None, norm=LINF, targeted=targeted, indices=indices)
    if shared:
        trained = _trained(classifier, samples, plan, batch_size)
        return _placed(samples, trained.expand(len(samples), -1, -1, -1), torch.full_like(samples.rows, _FINAL), plan)

    def begin(samples: Samples) -> _Search:
        grey = samples.images.new_full((len(samples), images.shape[1], plan.side, plan.side), 0.5)
        first = torch.zeros_like(samples.rows)
        return _Search(samples, grey, torch.zeros_like(grey), first, first.bool())

    def advance(state: _Search) -> _Search:
        fooled, _, gradient = _look(classifier, state.samples, state.patches, state.step, plan)
        leaves = state.done | (fooled & (not random_placement))
        climb = momentum * state.climb + unit_mean(gradient)
        moved = (state.patches + plan.length(state.step[:, None, None, None]) * climb.sign()).clamp(0, 1)
        patches = torch.where(leaves[:, None, None, None], state.patches, moved)
        step = state.step + 1
        return replace(state, patches=patches, climb=climb, step=step, done=leaves | (step >= steps))

    result = samples.images.clone()
    with classifier.frozen():
        for found in drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
            final = torch.full_like(found.step, _FINAL)
            result[found.samples.rows] = _placed(found.samples, found.patches, final, plan)
    return result


def trained_patch(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    area: float = 0.1,
    max_rotation: float = 0.0,
    min_scale: float = 1.0,
    steps: int = 100,
    step_size: float = 0.05,
    momentum: float = 0.9,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    indices: Tensor | None = None,
) -> Tensor:
    """Train the one patch (1, C, side, side) that `patch` places on all images with `shared`; options as there."""
    images = as_tensor(images, "images")
    plan = _Plan(_side(area, images), True, max_rotation, min_scale, steps, step_size, momentum, seed)
    _check(plan)
    samples = Samples.of(images, labels, eps=None, norm=LINF, targeted=targeted, indices=indices)
    return _trained(classifier, samples, plan, batch_size)


def _trained(classifier: Classifier, samples: Samples, plan: _Plan, batch_size: int | None) -> Tensor:
    """Train a shared patch with each weighting, and keep the one that fools more samples."""
    parts = samples.rows.split(batch_size or max(1, len(samples)))
    with classifier.frozen():
        first, *others = (_climbed(classifier, samples, plan, parts, weighting) for weighting in WEIGHTINGS)
        best, most = first, _count(classifier, samples, plan, parts, first)
        for other in others:
            count = _count(classifier, samples, plan, parts, other)
            best, most = torch.where(count > most, other, best), torch.maximum(count, most)
    return best


def _climbed(
    classifier: Classifier, samples: Samples, plan: _Plan, parts: Sequence[Tensor], weighting: Weighting
) -> Tensor:
    """Train a shared patch along the weighted sum of all samples' gradients, at new placements in every step."""
    shared = samples.images.new_full((1, samples.images.shape[1], plan.side, plan.side), 0.5)
    climb = torch.zeros_like(shared)
    for step in range(plan.steps if len(samples) else 0):
        found = [
            _look(classifier, samples.select(rows), *_spread(shared, rows, step), plan, loss=margin) for rows in parts
        ]
        _, values, gradients = (torch.cat(column) for column in zip(*found, strict=True))
        slopes = L1.size(gradients)  # a pixel may move over the whole range
        weights = weighting(standings(values, slopes), slopes, step / plan.steps)[:, None, None, None]
        climb = plan.momentum * climb + unit_mean((gradients * weights).sum(dim=0, keepdim=True))
        shared = (shared + plan.length(step) * climb.sign()).clamp(0, 1)
    return shared


def _count(classifier: Classifier, samples: Samples, plan: _Plan, parts: Sequence[Tensor], shared: Tensor) -> Tensor:
    """Count the samples that a patch fools, summed over held-out placements other than the result's."""
    total = shared.new_zeros(())
    for place in range(1, 1 + (_TRIES if plan.random_placement else 1)):
        for rows in parts:
            part = samples.select(rows)
            logits = classifier.logits(_placed(part, *_spread(shared, rows, _FINAL + place), plan))
            total = total + part.fooled(logits).sum()
    return total


def _spread(shared: Tensor, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Expand the patch and the number of the step to one row a sample."""
    return shared.expand(len(rows), -1, -1, -1), torch.full_like(rows, step)


def _look(
    classifier: Classifier, samples: Samples, patches: Tensor, step: Tensor, plan: _Plan, *, loss: Loss = log_odds
) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate patched samples: whether they fool (N,), the objectives (N,), and their gradients in the patches."""
    with torch.inference_mode(False), torch.enable_grad():
        free = patches.clone().requires_grad_()
        attacked = _placed(samples, free, step, plan)
        found = classifier.gradient(attacked.detach(), partial(samples.objective, loss=loss), rows=samples.rows)
        slope = torch.nan_to_num(found.gradient, nan=0.0, posinf=0.0, neginf=0.0)
        (gradient,) = torch.autograd.grad(attacked, free, slope)
    return samples.fooled(found.logits), found.values, gradient


def _placed(samples: Samples, patches: Tensor, step: Tensor, plan: _Plan) -> Tensor:
    """Put each sample's patch at the place that (seed, index, step) gives it."""
    images = samples.images
    height, width = images.shape[-2:]
    drawn = random.uniform(plan.seed, samples.indices, (4,), stream=plan.stream(step), dtype=images.dtype)
    drawn = drawn[:, :, None, None]
    # The patch's centre, with its pixels on those of the image.
    rows, columns = centred(images)
    down = (drawn[:, 0] * (height - plan.side + 1)).floor() - (height - plan.side) / 2
    right = (drawn[:, 1] * (width - plan.side + 1)).floor() - (width - plan.side) / 2
    angle = math.radians(plan.max_rotation) * (2 * drawn[:, 2] - 1)
    scale = plan.min_scale + (1 - plan.min_scale) * drawn[:, 3]
    y = (torch.cos(angle) * (rows - down) + torch.sin(angle) * (columns - right)) / scale
    x = (torch.cos(angle) * (columns - right) - torch.sin(angle) * (rows - down)) / scale
    inside = (y.abs() < plan.side / 2) & (x.abs() < plan.side / 2)
    return torch.where(inside[:, None], sampled(patches, y, x, padding="border").clamp(0, 1), images)


def _side(area: float, images: Tensor) -> int:
    if not 0 < area <= 1:
        raise ValueError(f"area must be a share of the image, above 0 and at most 1; got {area}")
    height, width = images.shape[-2:]
    return max(1, min(round(math.sqrt(area * height * width)), height, width))


def _check(plan: _Plan) -> None:
    if not 0 <= plan.max_rotation <= 180:
        raise ValueError(f"max_rotation must be degrees from 0 to 180; got {plan.max_rotation}")
    if not 0 < plan.min_scale <= 1:
        raise ValueError(f"min_scale must be above 0 and at most 1; got {plan.min_scale}")
    if plan.steps < 1:
        raise ValueError(f"steps must be 1 or more; got {plan.steps}")
    if not 0 < plan.step_size <= 1:
        raise ValueError(f"step_size must be above 0 and at most 1, the range of a pixel; got {plan.step_size}")
    if not 0 <= plan.momentum < 1:
        raise ValueError(f"momentum must be 0 or above and below 1; got {plan.momentum}")
