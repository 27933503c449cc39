"""NES: PGD on a gradient estimated from score queries along normal directions."""

import torch
from torch import Tensor

from attacks import random
from attacks.black_box.estimation import Climb, Plan, ascend, mean_slope
from attacks.classifier import Classifier
from attacks.norms import LINF, Budget, Norm, named_norm
from attacks.samples import Samples, budgets


def nes(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    queries: int = 5000,
    pairs: int = 25,
    radius: float = 1e-3,
    step_size: Budget | None = None,
    momentum: float = 0.9,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Estimate the gradient along normal directions, two queries each, and step as PGD does (Ilyas et al., 2018).

    A step queries `pairs` antithetic directions with standard deviation `radius` (the paper's sigma), and its result.
    Their defaults and that of `momentum`, for the moving average of the estimates, are the paper's. The paper's step of
    eps / 5 is halved where the loss stalls; `step_size` (default: eps / 10, more for few steps) is constant. Each
    sample spends at most `queries` forward passes, the one on the clean image included, and leaves when fooled; one
    that is never fooled ends at its last iterate.

    Directions depend on (seed, index, step) alone, and an estimate on the sample's own scores alone.
    """
    norm = named_norm(norm)
    if norm.name not in ("linf", "l2", "l1"):
        raise ValueError(f"nes has no form for {norm.name}: choose from linf, l2, l1")
    if not radius > 0 or not 0 <= momentum < 1:
        raise ValueError(f"radius must be above 0 and momentum in [0, 1); got radius={radius}, momentum={momentum}")
    plan = Plan.of(queries, pairs)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths = plan.step_size(samples.eps) if step_size is None else budgets(step_size, images, norm, option="step_size")

    def draw(indices: Tensor, stream: Tensor) -> Tensor:
        return random.normal(seed, indices, images.shape[1:], stream=stream, dtype=images.dtype)

    def rule(climb: Climb) -> tuple[Tensor, Tensor]:
        gradient = mean_slope(classifier, climb, draw=draw, plan=plan, radius=radius)
        average = torch.lerp(gradient, climb.memory, momentum)
        move = norm.step(average, climb.at, lengths[climb.samples.rows])
        return norm.project(climb.at + move, climb.samples.images, climb.samples.eps), average

    return ascend(
        classifier,
        samples,
        rule,
        steps=plan.steps,
        memory=tuple(images.shape[1:]),
        batch_size=batch_size,
        compact=compact,
    )
