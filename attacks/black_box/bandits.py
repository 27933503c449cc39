"""Bandits: a gradient estimate kept from step to step as a prior, constant within tiles, updated by two queries."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks import random
from attacks.black_box.estimation import Climb, Plan, ascend
from attacks.classifier import Classifier
from attacks.norms import LINF, Budget, Norm, named_norm, per_sample
from attacks.samples import Samples, budgets

_LARGEST = 2.0  # bound on an update, in units of its noise: with large logits one query would otherwise dominate
_MOST = 8.0  # bound on the argument of tanh in linf: beyond, tanh rounds to 1 and updates back would take many steps


class _Rates(NamedTuple):
    exploration: float
    radius: float
    learning_rate: float


_RATES = {"linf": _Rates(1.0, 0.1, 100.0), "l2": _Rates(0.01, 0.01, 0.1)}


def bandits(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    queries: int = 5000,
    step_size: Budget | None = None,
    tile: int = 4,
    exploration: float | None = None,
    radius: float | None = None,
    learning_rate: float | None = None,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Estimate the gradient with a time- and tile-dependent prior from score queries (Ilyas et al., 2019).

    In linf or l2. A step queries the scores at l2 distance `radius` along prior + noise and prior - noise, with noise
    of norm about `exploration`; updates the prior towards the better one with `learning_rate` (by exponentiated
    gradients in linf), by at most twice the noise; steps along it by `step_size` (default: eps / 10, more for few
    steps); and queries the result: three queries, the last of which the paper's code makes but does not count. Each
    sample spends at most `queries` forward passes, the one on the clean image included, and leaves when fooled; one
    that is never fooled ends at its last iterate.

    The prior has one value for `tile` x `tile` pixels. Noise depends on (seed, index, step) alone.
    """
    norm = named_norm(norm)
    if norm.name not in _RATES:
        raise ValueError(f"bandits has no form for {norm.name}: choose from {', '.join(_RATES)}")
    if tile < 1:
        raise ValueError(f"tile must be 1 or more; got {tile}")
    usual = _RATES[norm.name]
    rates = _Rates(
        usual.exploration if exploration is None else exploration,
        usual.radius if radius is None else radius,
        usual.learning_rate if learning_rate is None else learning_rate,
    )
    if min(rates) <= 0:
        raise ValueError(f"exploration, radius and learning_rate must be above 0; got {', '.join(map(str, rates))}")
    plan = Plan.of(queries, 1)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths = plan.step_size(samples.eps) if step_size is None else budgets(step_size, images, norm, option="step_size")
    size = images.shape[2:]
    shape = (images.shape[1], -(-size[0] // tile), -(-size[1] // tile))

    def prior(memory: Tensor) -> Tensor:
        return memory.tanh() if norm.name == "linf" else memory

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(tile, dim=2).repeat_interleave(tile, dim=3)[..., : size[0], : size[1]]

    def value(climb: Climb, direction: Tensor) -> Tensor:
        way = F.normalize(spread(direction).flatten(1), dim=1).reshape(climb.at.shape)
        logits = classifier.logits((climb.at + rates.radius * way).clamp(0, 1), rows=climb.samples.rows)
        return climb.samples.score(logits)

    def rule(climb: Climb) -> tuple[Tensor, Tensor]:
        # Correct the prior.
        noise = random.normal(seed, climb.samples.indices, shape, stream=climb.step, dtype=images.dtype)
        noise = rates.exploration * noise / noise[0].numel() ** 0.5
        before = prior(climb.memory)
        change = (value(climb, before + noise) - value(climb, before - noise)) / (rates.radius * rates.exploration)
        change = torch.nan_to_num(change, nan=0.0, posinf=0.0, neginf=0.0)
        weight = (rates.learning_rate * change).clamp(-_LARGEST, _LARGEST)
        memory = climb.memory + per_sample(weight, noise) * noise
        memory = memory.clamp(-_MOST, _MOST) if norm.name == "linf" else memory

        # Step along it.
        move = norm.steepest(spread(prior(memory)), climb.at, lengths[climb.samples.rows])
        return norm.project(climb.at + move, climb.samples.images, climb.samples.eps), memory

    return ascend(classifier, samples, rule, steps=plan.steps, memory=shape, batch_size=batch_size, compact=compact)
