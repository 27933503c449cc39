"""Authenticity: whether a generated image is farther from its training image than that one is from the others."""

from torch import Tensor

from evaluation.features.features import check_features
from evaluation.features.neighbours import nearest
from evaluation.statistics.intervals import Estimate, rate


def authentic(samples: Tensor, real: Tensor, found: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Which samples are authentic (Alaa et al., 2022): (M, D) and (N, D) training features to (M,) bool.

    Sample g is where d(x, nearest other training image of x) < d(g, x), with x the training image nearest to g. An
    exact copy never is. `found` is `nearest(samples, real, 1)` where that is known already.
    """
    check_features(real, samples, least=1)
    distances, indices = (part.squeeze(1) for part in found or nearest(samples, real, 1))
    used, place = indices.unique(return_inverse=True)
    # The nearest of all is the image itself, or one that equals it.
    others = nearest(real[used.to(real.device)], real, 2)[0][:, 1]
    return others[place] < distances


def authenticity(samples: Tensor, real: Tensor) -> Estimate:
    """Share of authentic samples (AuthPct over 100), with its Wilson interval given the training images.

    Not 1 for new images: a held-out image is as often as not as near to a training image as that one's own neighbour
    is, so read the value beside that of held-out images. Images without detail have a low one too.
    """
    return rate(authentic(samples, real))
