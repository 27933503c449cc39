import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear

from advgan.models.layers.equalised import EqualisedConv2d, EqualisedLinear, PixelNorm
from attacks.random import normal, seeded


def noise(*shape: int, seed: int = 0) -> Tensor:
    return normal(seed, torch.arange(shape[0]), shape[1:])


def test_weights_start_at_unit_scale_whatever_the_layer() -> None:
    with seeded(0):
        layers: list[nn.Linear | nn.Conv2d] = [
            EqualisedLinear(20, 500),
            EqualisedLinear(500, 20),
            EqualisedConv2d(40, 30, 3),
        ]
    for layer in layers:
        assert float(layer.weight.detach().std()) == pytest.approx(1, abs=0.03)
        assert float(layer.weight.detach().mean()) == pytest.approx(0, abs=0.03)
        assert isinstance(layer.bias, Tensor)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_unit_inputs_give_outputs_of_variance_gain_squared(gain: float) -> None:
    """Each output is a sum of `fan_in` products of variance gain^2 / fan_in."""
    with seeded(1):
        dense, convolution = EqualisedLinear(100, 4000, gain=gain), EqualisedConv2d(16, 2000, 3, gain=gain)
    assert float(dense(torch.ones(1, 100)).detach().var()) == pytest.approx(gain**2, rel=0.1)
    assert float(convolution(torch.ones(1, 16, 3, 3)).detach().var()) == pytest.approx(gain**2, rel=0.15)


def test_at_the_default_gain_a_deep_relu_network_keeps_the_mean_square() -> None:
    with seeded(2):
        layers = [EqualisedLinear(600, 600) for _ in range(8)]
    features = noise(50, 600)
    for layer in layers:
        features = layer(features).relu()
    assert float(features.detach().square().mean()) == pytest.approx(1, rel=0.4)


def test_a_layer_is_the_plain_one_with_scaled_weights() -> None:
    with seeded(3):
        dense, convolution = EqualisedLinear(5, 3), EqualisedConv2d(2, 3, 3, padding=1, gain=1)
    nn.init.constant_(dense.bias, 0.5)
    vectors, maps = noise(4, 5), noise(4, 2, 6, 6)
    torch.testing.assert_close(dense(vectors), linear(vectors, dense.weight * math.sqrt(2 / 5), dense.bias))
    torch.testing.assert_close(convolution(maps), conv2d(maps, convolution.weight / math.sqrt(18), padding=1))


def moved_share(layer: nn.Linear, scale: float) -> float:
    """How far one step of Adam at rate 0.01 moves the weights in use, relative to their standard deviation."""
    before = layer.weight.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    layer(noise(8, layer.in_features)).square().mean().backward()
    optimizer.step()
    return scale * float((layer.weight.detach() - before).square().mean().sqrt()) / math.sqrt(2 / layer.in_features)


def test_one_step_of_adam_moves_a_wide_and_a_narrow_layer_by_the_same_share() -> None:
    """What the equalised rate is for. In plain layers a step is 0.01 each, which is ten times more among 900 inputs."""
    with seeded(4):
        equalised = [EqualisedLinear(inputs, 50) for inputs in (9, 900)]
        plain = [nn.Linear(inputs, 50) for inputs in (9, 900)]
    assert [moved_share(layer, layer.scale) for layer in equalised] == pytest.approx([0.01, 0.01], rel=0.01)
    narrow, wide = (moved_share(layer, 1) for layer in plain)
    assert wide == pytest.approx(10 * narrow, rel=0.01)


def test_pixel_norm_gives_each_place_a_mean_square_of_one_and_keeps_its_direction() -> None:
    maps = 5 * noise(3, 7, 4, 4)
    normalised = PixelNorm()(maps)
    torch.testing.assert_close(normalised.square().mean(dim=1), torch.ones(3, 4, 4))
    ratio = normalised / maps
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert (ratio > 0).all()
    vectors = PixelNorm()(noise(5, 9))
    torch.testing.assert_close(vectors.norm(dim=1), torch.full((5,), 3.0))


def test_pixel_norm_of_nothing_is_nothing_and_has_a_finite_gradient() -> None:
    maps = torch.zeros(1, 3, 2, 2, requires_grad=True)
    normalised = PixelNorm()(maps)
    assert (normalised == 0).all()
    normalised.sum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_second_derivatives_pass_through_every_layer() -> None:
    with seeded(5):
        layers = nn.Sequential(
            EqualisedConv2d(2, 3, 3, padding=1), PixelNorm(), nn.Flatten(), EqualisedLinear(27, 2)
        ).double()
    maps = noise(2, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda inputs: leaky_relu(layers(inputs), 0.2), maps)
