import math

import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks
from advgan.models.layers.minibatch import KERNEL_DIM, MinibatchDeviation, MinibatchDiscrimination, MinibatchFeatures
from attacks.random import normal, seeded

FEATURES = normal(0, torch.arange(5), (8,))


def discrimination(features: int = 8) -> MinibatchDiscrimination:
    with seeded(0):
        return MinibatchDiscrimination(features)


def test_identical_samples_are_as_near_as_can_be() -> None:
    found = discrimination()(FEATURES[:1].expand(6, -1))
    torch.testing.assert_close(found[:, 8:], torch.full((6, 4), 5.0))


def test_far_samples_are_not_near_at_all() -> None:
    found = discrimination()(1000 * FEATURES)
    assert found[:, 8:].abs().max() < 1e-6
    assert discrimination()(FEATURES[:1])[:, 8:].tolist() == [[0, 0, 0, 0]]


def test_nearness_is_the_sum_over_the_others_of_exponential_distances() -> None:
    layer = discrimination()
    found = layer(FEATURES)
    assert torch.equal(found[:, :8], FEATURES)
    rows = (FEATURES @ layer.project.weight.T).tolist()
    for i in range(5):
        for kernel in range(layer.kernels):
            places = range(kernel * KERNEL_DIM, (kernel + 1) * KERNEL_DIM)
            near = sum(math.exp(-sum(abs(rows[i][p] - rows[j][p]) for p in places)) for j in range(5) if j != i)
            assert float(found[i, 8 + kernel].detach()) == pytest.approx(near, abs=1e-5)


@pytest.mark.parametrize(("features", "kernels"), [(1, 1), (8, 4), (100, 50), (400, 50)])
def test_kernels_are_those_of_the_paper_but_for_few_features(features: int, kernels: int) -> None:
    assert discrimination(features).kernels == kernels
    assert discrimination(features)(torch.zeros(2, features)).shape == (2, features + kernels)


def test_gradients_pull_near_samples_apart() -> None:
    """The gradient of a sample's nearness points from it to its neighbour, in the space of the projection."""
    features = FEATURES[:2].clone().requires_grad_()
    layer = discrimination()
    (gradient,) = torch.autograd.grad(layer(features)[0, 8:].sum(), features, create_graph=True)
    torch.testing.assert_close(gradient[0], -gradient[1])
    assert (gradient[0] @ (features[1] - features[0])) > 0
    gradient.square().sum().backward()
    assert layer.project.weight.grad is not None
    assert (layer.project.weight.grad != 0).any()


def test_deviation_is_the_mean_over_features_of_that_over_the_batch() -> None:
    """Half of the batch at +a and half at -a: the deviation of each feature is a, and their mean is appended."""
    sizes = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    maps = torch.cat([sizes, -sizes, sizes, -sizes])
    found = MinibatchDeviation()(maps)
    assert torch.equal(found[:, :3], maps)
    torch.testing.assert_close(found[:, 3:], torch.full((4, 1, 2, 2), 3.0))


def test_deviation_of_identical_samples_is_nothing_with_a_finite_gradient() -> None:
    maps = torch.ones(4, 3, 2, 2).requires_grad_()
    found = MinibatchDeviation()(maps)
    assert float(found[:, 3].detach().max()) == pytest.approx(1e-4)
    found.sum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_gradients_flow_from_the_deviation_to_every_sample() -> None:
    maps = normal(0, torch.arange(4), (3, 2, 2)).requires_grad_()
    (gradient,) = torch.autograd.grad(MinibatchDeviation()(maps)[0, 3, 0, 0], maps)
    assert (gradient != 0).all()
    torch.testing.assert_close(gradient.sum(dim=0), torch.zeros(3, 2, 2), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("kind", "width"), [("none", 12), ("deviation", 16), ("discrimination", 18)])
def test_features_are_as_wide_as_they_say(kind: str, width: int) -> None:
    batch = MinibatchFeatures((3, 2, 2), GanNetworks.model_validate({"minibatch": kind}))
    maps: Tensor = normal(0, torch.arange(4), (3, 2, 2))
    assert batch.num_features == width
    assert batch(maps).shape == (4, width)
    assert torch.equal(batch(maps)[:, :12], maps.flatten(1))
