"""The one-step attack of fast adversarial training."""

from torch import Tensor

from attacks import Classifier, Norm, log_odds, named_norm
from attacks.norms import per_sample


def fast_attack(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm | str = "linf",
    step_size: float | None = None,
    seed: int = 0,
    indices: Tensor,
) -> Tensor:
    """Take one steepest step from a random point of the eps-ball (Wong et al., 2020); `step_size` defaults to 1.25 eps.

    Only the result is cut to [0, 1], not the start, unlike in PGD. Where images are mostly black or white this decides:
    a cut start leaves half of their pixels where they were, and on MNIST at eps 0.3 the network that learns from it
    falls to PGD in every case. The start depends on (seed, index) alone.
    """
    norm = named_norm(norm)
    seats = indices.cpu() if images.device.type == "mps" else indices  # MPS has no float64
    offsets = norm.unit_ball(seed, seats, images.shape[1:], 0).to(images)
    start = images + per_sample(eps, images) * offsets
    gradient = classifier.gradient(start, lambda logits: log_odds(logits, labels)).gradient
    move = norm.steepest(gradient, images, 1.25 * eps if step_size is None else step_size)
    return norm.project(start + move, images, eps)
