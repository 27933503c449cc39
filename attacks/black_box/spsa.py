"""SPSA: Adam on a gradient estimated from score queries along random signs."""

import torch
from torch import Tensor

from attacks import random
from attacks.black_box.estimation import Climb, Plan, ascend, mean_slope
from attacks.classifier import Classifier
from attacks.norms import LINF, Budget, Norm, named_norm, per_sample
from attacks.samples import Samples, budgets

_FIRST_DECAY, _SECOND_DECAY = 0.9, 0.999
"""Adam's beta1 and beta2 (Kingma & Ba, 2015)."""


def spsa(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    queries: int = 5000,
    pairs: int = 32,
    radius: float = 0.01,
    step_size: Budget | None = None,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Estimate the gradient along random signs, two queries each, and step with Adam (Uesato et al., 2018).

    In linf or l2. A step queries `pairs` antithetic directions, which move every pixel by `radius`, and its result.
    Adam moves a pixel by about `step_size` (default: eps / 10, more for few steps; in l2 it is the norm of a move).
    Each sample spends at most `queries` forward passes, the one on the clean image included, and leaves when fooled;
    one that is never fooled ends at its last iterate. The paper spends up to a million queries, with 4096 pairs a step.

    Signs depend on (seed, index, step) alone.
    """
    norm = named_norm(norm)
    if norm.name not in ("linf", "l2"):
        raise ValueError(f"spsa has no form for {norm.name}: choose from linf, l2")
    if not radius > 0:
        raise ValueError(f"radius must be above 0; got {radius}")
    plan = Plan.of(queries, pairs)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths = plan.step_size(samples.eps) if step_size is None else budgets(step_size, images, norm, option="step_size")
    if norm.name == "l2":
        lengths = lengths / max(images[0:1].numel(), 1) ** 0.5  # of a pixel, where all move alike

    def draw(indices: Tensor, stream: Tensor) -> Tensor:
        return 1 - 2 * (random.uniform(seed, indices, images.shape[1:], stream=stream) < 0.5).to(images.dtype)

    def rule(climb: Climb) -> tuple[Tensor, Tensor]:
        gradient = mean_slope(classifier, climb, draw=draw, plan=plan, radius=radius)
        first = torch.lerp(gradient, climb.memory[:, 0], _FIRST_DECAY)
        second = torch.lerp(gradient.square(), climb.memory[:, 1], _SECOND_DECAY)
        taken = per_sample(climb.step + 1, gradient)
        spread = (second / (1 - _SECOND_DECAY**taken)).sqrt()
        move = first / (1 - _FIRST_DECAY**taken) / (spread + (spread == 0))
        candidate = climb.at + per_sample(lengths[climb.samples.rows], move) * move
        at = norm.project(candidate, climb.samples.images, climb.samples.eps)
        return at, torch.stack([first, second], dim=1)

    return ascend(
        classifier,
        samples,
        rule,
        steps=plan.steps,
        memory=(2, *images.shape[1:]),
        batch_size=batch_size,
        compact=compact,
    )
