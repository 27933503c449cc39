"""What other tools' attacks by decisions alone get wrong, and ours do not."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attacks import L2, Classifier, fooled
from attacks.black_box.boundary import boundary
from attacks.black_box.boundary_search import Oracle
from attacks.black_box.hopskipjump import hopskipjump
from attacks.black_box.signopt import signopt
from attacks.random import normal, seeded, uniform
from attacks.samples import Samples


class Plane(nn.Module):
    """Logits (0, weight . image); the images are those that the network is given, so after normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(1, torch.arange(1), (4,), dtype=torch.float64)[0])
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        values = (images.flatten(1) * self.weight).sum(dim=1)
        return torch.stack([torch.zeros_like(values), values], dim=1)


@pytest.fixture
def plane() -> Classifier:
    return Classifier(Plane(), mean=(0.5,), std=(0.1,))


@pytest.fixture
def images() -> Tensor:
    return 0.35 + 0.3 * uniform(2, torch.arange(16), (1, 2, 2), dtype=torch.float64)


def labels_of(classifier: Classifier, images: Tensor) -> Tensor:
    return classifier.logits(images).argmax(dim=1)


def test_foolbox_hopskipjump_step_shrinks_with_the_batch(plane, images) -> None:
    """There the estimate is divided by its norm over the whole batch, so that steps shrink as 1 / sqrt(batch)."""

    def estimate(count: int) -> Tensor:
        labels = labels_of(plane, images[:count])
        samples = Samples.of(images[:count], labels, eps=None, norm=L2, targeted=False, indices=None)
        oracle = Oracle(plane, L2, 1000)
        near = oracle.start(samples, starts=None, seed=0)
        at = near.image[:, None]
        _, climb = oracle.climb(near, lambda v: ((at + v).clamp(0, 1), v), torch.full((count,), 20), seed=0)
        return climb

    torch.testing.assert_close(estimate(16)[:1], estimate(1), rtol=1e-12, atol=0)


def test_foolbox_hopskipjump_clips_to_0_and_1_whatever_the_bounds(plane, images) -> None:
    """There a model with normalised inputs is attacked in [0, 1] all the same; here the bounds are the pixels'."""
    labels = labels_of(plane, images)
    adversarial = hopskipjump(plane, images, labels, queries=800)
    weight = plane.network.weight.detach()
    exact = ((images - 0.5).flatten(1) @ weight).abs() / weight.norm()
    assert ((L2.size(adversarial - images) / exact - 1).abs() < 0.05).all()


def test_foolbox_hopskipjump_grid_search_mixes_up_samples(plane, images) -> None:
    """There the best step of each sample indexes the samples too, so that the result has one dimension too many."""
    labels, order = labels_of(plane, images), torch.arange(15, -1, -1)
    result = hopskipjump(plane, images, labels, queries=80)
    again = hopskipjump(plane, images[order], labels[order], queries=80, indices=order)
    assert result.shape == images.shape
    torch.testing.assert_close(again[order], result, rtol=0, atol=1e-12)


@pytest.mark.parametrize("attack", [hopskipjump, boundary, signopt])
def test_foolbox_gives_up_all_samples_if_one_start_fails(attack, plane, images) -> None:
    """There one start that does not fool is an error for the batch; here that sample alone stays as it is."""
    labels = labels_of(plane, images)
    starts = torch.where((labels == 0)[:, None, None, None], plane.network.weight.reshape(1, 1, 2, 2) > 0, images)
    adversarial = attack(plane, images, 1 - labels, starts=starts.detach().to(images), targeted=True, queries=2)
    changed = (adversarial != images).flatten(1).any(dim=1)
    assert torch.equal(changed, labels == 0)
    assert fooled(plane.logits(adversarial), labels)[changed].all()


def test_foolbox_boundary_never_drops_converged_samples(plane, images) -> None:
    """There a sample whose steps have shrunk to nothing is computed on with all others until the last one has."""
    few = images[:4]
    with plane.tallied(4) as tally:
        boundary(plane, few, labels_of(plane, few), queries=1000)
    assert (tally.forwards < 900).all()
    assert len(tally.forwards.unique()) > 1


@pytest.mark.parametrize("attack", [hopskipjump, boundary, signopt])
def test_art_attacks_one_image_at_a_time(attack, plane, images) -> None:
    """There sixteen images cost sixteen times the calls of one (HopSkipJump, Boundary, SimBA, Sign-OPT)."""
    calls = []
    for count in (1, 16):
        before = plane.network.calls
        attack(plane, images[:count], labels_of(plane, images[:count]), queries=100)
        calls.append(plane.network.calls - before)
    assert calls[1] < 2 * calls[0]


def test_foolbox_decision_attacks_miss_classes_that_fine_noise_never_shows() -> None:
    """There every start is pixel noise, which for many networks is all of one class; here some is coarse."""

    class Bright(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            mean = inputs.flatten(1).mean(dim=1)
            return torch.stack([torch.full_like(mean, 0.7), mean], dim=1)

    with seeded(0):
        images = 0.5 * torch.rand(4, 1, 28, 28)
    assert (uniform(0, torch.arange(100), (1, 28, 28)).mean(dim=(1, 2, 3)) < 0.7).all()
    attack = partial(hopskipjump, Classifier(Bright()), images, torch.ones(4, dtype=torch.int64))
    assert (attack(targeted=True, queries=120).mean(dim=(1, 2, 3)) >= 0.7).all()
