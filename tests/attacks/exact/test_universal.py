"""One change for many images against the best one there is, which integer programming finds on linear networks."""

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, milp

from attacks import Classifier, fooled
from attacks.random import normal, uniform
from attacks.unbounded.universal import universal_perturbation

PIXELS, CLASSES, EPS, FAR = 9, 3, 0.05, 1e3


def network(seed: int, scale: float = 1.0) -> Classifier:
    layer = torch.nn.Linear(PIXELS, CLASSES, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(scale * normal(seed, torch.arange(CLASSES), (PIXELS,), dtype=torch.float64))
    return Classifier(torch.nn.Sequential(torch.nn.Flatten(), layer))


def sample(classifier: Classifier, seed: int, *, near: int, far: int):
    """Images within the budget of a boundary of theirs, and images that no change can fool; none touches [0, 1]."""
    images = 0.2 + 0.6 * uniform(seed, torch.arange(3000), (1, 3, 3), dtype=torch.float64)
    weight = classifier.network[1].weight.detach()
    logits = images.flatten(1) @ weight.T
    labels = logits.argmax(dim=1)
    gaps = logits.gather(1, labels[:, None]) - logits
    reach = EPS * (weight[labels][:, None] - weight[None]).abs().sum(dim=2)
    share = torch.where(reach > 0, gaps / reach, torch.inf).amin(dim=1)
    chosen = torch.cat([(share < 1).nonzero().flatten()[:near], (share > 1.5).nonzero().flatten()[:far]])
    return images[chosen], labels[chosen]


def most_fooled(classifier: Classifier, images, labels, eps: float) -> int:
    """How many images the best perturbation fools: maximise the sum of z, where z[i, k] says that k beats the label."""
    weight = classifier.network[1].weight.detach().numpy()
    inputs, count = images.flatten(1).numpy(), len(images)
    rows, bounds = [], []
    for i, label in enumerate(labels.tolist()):
        once = np.zeros(PIXELS + count * CLASSES)
        for k in range(CLASSES):
            place = PIXELS + i * CLASSES + k
            once[place] = 1
            row = np.zeros(PIXELS + count * CLASSES)
            row[:PIXELS], row[place] = weight[k] - weight[label], -FAR
            rows.append(row)
            bounds.append((1e-6 if k != label else FAR) - FAR - (weight[k] - weight[label]) @ inputs[i])
        rows.append(-once)
        bounds.append(-1)
    free = np.concatenate([np.full(PIXELS, eps), np.ones(count * CLASSES)])
    found = milp(
        np.concatenate([np.zeros(PIXELS), -np.ones(count * CLASSES)]),
        constraints=LinearConstraint(np.array(rows), lb=np.array(bounds)),
        bounds=Bounds(np.concatenate([np.full(PIXELS, -eps), np.zeros(count * CLASSES)]), free),
        integrality=np.concatenate([np.zeros(PIXELS), np.ones(count * CLASSES)]),
    )
    assert found.status == 0
    return round(-found.fun)


@pytest.mark.parametrize(("near", "far"), [(16, 0), (16, 24), (6, 34)])
@pytest.mark.parametrize("seed", range(3))
def test_it_fools_nearly_as_many_as_any_perturbation_can(near, far, seed) -> None:
    """Images out of reach, most of them here, do not outvote those within it."""
    classifier = network(seed)
    images, labels = sample(classifier, seed + 10, near=near, far=far)
    delta = universal_perturbation(classifier, images, labels, eps=EPS)
    found = int(fooled(classifier.logits(images + delta), labels).sum())
    best = most_fooled(classifier, images, labels, EPS)
    assert best - 1 <= found <= best


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_the_logits_changes_nothing(scale) -> None:
    images, labels = sample(network(0), 10, near=16, far=24)
    plain, scaled = (universal_perturbation(network(0, each), images, labels, eps=EPS) for each in (1.0, scale))
    rates = [fooled(network(0).logits(images + delta), labels).sum() for delta in (plain, scaled)]
    assert rates[0] == rates[1]
