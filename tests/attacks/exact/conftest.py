"""Small networks whose smallest adversarial changes integer programming finds exactly."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor, nn

from attacks import Classifier
from attacks.random import normal

PIXELS, HIDDEN, CLASSES = 6, 8, 3


def rectified(seed: int) -> Classifier:
    """One hidden layer of rectifiers, images (N, 1, 2, 3), float64."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)).double()
    with torch.no_grad():
        for place, parameter in enumerate(network.parameters()):
            parameter.copy_(normal(seed, torch.arange(1), parameter.shape, stream=place, dtype=torch.float64)[0])
    return Classifier(network)


def smallest_change(classifier: Classifier, image: Tensor, label: int, norm: str) -> float:
    """The smallest linf or l1 change within [0, 1] that brings another logit level with the label's.

    Variables: the change, its size (one a pixel for l1), the hidden values, and for each rectifier whether it is open.
    """
    sizes = 1 if norm == "linf" else PIXELS
    return min(_towards(classifier, image, label, other, sizes) for other in range(CLASSES) if other != label)


def _towards(classifier: Classifier, image: Tensor, label: int, other: int, sizes: int) -> float:
    first, second = classifier.network[1], classifier.network[3]
    w, b = first.weight.detach().numpy(), first.bias.detach().numpy()
    v, c = second.weight.detach().numpy(), second.bias.detach().numpy()
    x = image.flatten().numpy()
    before, bound = w @ x + b, np.abs(w).sum(axis=1) + np.abs(b)  # of any image in [0, 1]
    total = PIXELS + sizes + 2 * HIDDEN
    change, size, hidden, opened = np.split(np.eye(total), np.cumsum([PIXELS, sizes, HIDDEN]))
    size = np.broadcast_to(size, (PIXELS, total)) if sizes == 1 else size
    rows = [
        (size - change, 0.0),
        (size + change, 0.0),
        (hidden - w @ change, before),  # not below the sum
        (w @ change - hidden - bound[:, None] * opened, -before - bound),  # nor above it, where open
        (bound[:, None] * opened - hidden, 0.0),  # 0 where shut
        (((v[other] - v[label]) @ hidden)[None], c[label] - c[other]),
    ]
    low = np.concatenate([np.broadcast_to(limit, len(row)) for row, limit in rows])
    found = milp(
        np.r_[np.zeros(PIXELS), np.ones(sizes), np.zeros(2 * HIDDEN)],
        constraints=LinearConstraint(np.concatenate([row for row, _ in rows]), lb=low),
        bounds=Bounds(
            np.r_[-x, np.zeros(sizes + 2 * HIDDEN)], np.r_[1 - x, np.full(sizes, 1.0), bound, np.ones(HIDDEN)]
        ),
        integrality=np.r_[np.zeros(PIXELS + sizes + HIDDEN), np.ones(HIDDEN)],
        options={"mip_rel_gap": 1e-9},
    )
    return float(found.fun) if found.status == 0 else float("inf")


@pytest.fixture(scope="session")
def rectified_networks() -> list[Classifier]:
    return [rectified(seed) for seed in (1, 2)]


@pytest.fixture(scope="session")
def exact() -> Callable[[Classifier, Tensor, Tensor, str], Tensor]:
    """(classifier, images, labels, norm) to the smallest change of each image, (N,)."""

    def find(classifier: Classifier, images: Tensor, labels: Tensor, norm: str) -> Tensor:
        pairs = zip(images, labels.tolist(), strict=True)
        return torch.tensor([smallest_change(classifier, image, label, norm) for image, label in pairs])

    return find
