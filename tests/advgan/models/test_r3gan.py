import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu

from advgan.config import GanNetworks
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.gans.r3gan import Basis, R3ganDiscriminator, R3ganGenerator, ResidualBlock
from attacks.random import normal, seeded, uniform

LABELS = torch.tensor([0, 2, 1])


def players(
    size: int = 28, *, channels: int = 1, width: int = 3, conditional: bool = False
) -> tuple[R3ganGenerator, R3ganDiscriminator]:
    networks = GanNetworks.model_validate(
        {"family": "r3gan", "width": width, "latent_dim": 6, "conditional": conditional}
    )
    with seeded(0):
        generator = build_generator(networks, size=size, channels=channels, num_classes=3)
        discriminator = build_discriminator(networks, size=size, channels=channels, num_classes=3)
    assert isinstance(generator, R3ganGenerator)
    assert isinstance(discriminator, R3ganDiscriminator)
    return generator, discriminator


def noise() -> Tensor:
    return normal(0, torch.arange(3), (6,))


def photographs(size: int = 28, *, seed: int = 1) -> Tensor:
    return uniform(seed, torch.arange(3), (1, size, size)) * 2 - 1


def blocks(network: nn.Module) -> list[ResidualBlock]:
    return [module for module in network.modules() if isinstance(module, ResidualBlock)]


def awaken(network: nn.Module) -> None:
    """Give the last convolution of every block a weight, as training does."""
    with seeded(3):
        for block in blocks(network):
            nn.init.normal_(block.narrow.weight, 0, 0.1)


def test_residual_branches_vanish_at_the_start() -> None:
    for network in players():
        found = blocks(network)
        assert len(found) == 6
        for block in found:
            maps = normal(2, torch.arange(2), (block.narrow.out_channels, 5, 5))
            assert torch.equal(block(maps), maps)


def test_a_generator_without_residuals_is_its_modulated_constant_resampled() -> None:
    generator, _ = players()
    basis = next(module for module in generator.modules() if isinstance(module, Basis))
    pointwise = [layer for layer in generator.layers if isinstance(layer, nn.Conv2d)]
    maps = torch.einsum("nc,chw->nchw", noise() @ basis.modulate.weight.T, basis.constant)
    assert maps.shape == (3, 12, 7, 7)
    for layer in pointwise[:-1]:
        maps = interpolate(conv2d(maps, layer.weight), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(generator(noise()), conv2d(maps, pointwise[-1].weight).tanh())


def test_a_discriminator_without_residuals_is_linear_and_with_them_is_not() -> None:
    _, discriminator = players()
    first, second = photographs(), photographs(seed=5)
    mixed = discriminator.features(0.3 * first + 0.7 * second)
    apart = 0.3 * discriminator.features(first) + 0.7 * discriminator.features(second)
    torch.testing.assert_close(mixed, apart)
    awaken(discriminator)
    mixed = discriminator.features(0.3 * first + 0.7 * second)
    apart = 0.3 * discriminator.features(first) + 0.7 * discriminator.features(second)
    assert (mixed - apart).abs().max() > 1e-3


def test_a_block_convolves_groups_of_sixteen_channels_apart() -> None:
    """Written out: 24 channels widened to 48, three groups, and back."""
    with seeded(0):
        block = ResidualBlock(24, num_blocks=4)
    awaken(block)
    assert block.mix.groups == 3
    maps = normal(0, torch.arange(2), (24, 5, 5))
    wide = leaky_relu(conv2d(maps, block.widen.weight), 0.2)
    mixed = [
        conv2d(wide[:, first : first + 16], block.mix.weight[first : first + 16], padding=1) for first in (0, 16, 32)
    ]
    expected = maps + conv2d(leaky_relu(torch.cat(mixed, dim=1), 0.2), block.narrow.weight)
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 12, 28, 50, 96])
def test_groups_divide_every_width(channels: int) -> None:
    block = ResidualBlock(channels, num_blocks=1)
    assert (2 * channels) % block.mix.groups == 0
    assert block(torch.zeros(1, channels, 3, 3)).shape == (1, channels, 3, 3)


def test_weights_start_at_the_scale_of_fixup() -> None:
    """He's scale for LeakyReLU(0.2), times L^(-1/4), with no part for a bias."""
    with seeded(1):
        block = ResidualBlock(96, num_blocks=16)
    gain = math.sqrt(2 / 1.04) / 2
    assert float(block.widen.weight.detach().std()) == pytest.approx(gain / math.sqrt(96), rel=0.03)
    assert float(block.mix.weight.detach().std()) == pytest.approx(gain / math.sqrt(9 * 16), rel=0.03)
    for layer in (block.widen, block.mix):
        assert layer.bias is not None
        assert (layer.bias == 0).all()
    assert (block.narrow.weight == 0).all()
    assert block.narrow.bias is None


def test_layers_outside_the_blocks_keep_the_variance_of_their_inputs() -> None:
    """Weights of variance 1 / inputs, and a constant of variance 1; neither has a bias."""
    for network in players(64, channels=3, width=32):
        inside = {id(layer) for block in blocks(network) for layer in block.modules()}
        plain = [
            layer
            for layer in network.layers.modules()
            if isinstance(layer, (nn.Conv2d, nn.Linear)) and id(layer) not in inside
        ]
        assert len(plain) == 5
        for layer in plain:
            weight = layer.weight.detach()
            spread = 4 / (2 * weight.numel()) ** 0.5
            assert float(weight.std()) * weight[0].numel() ** 0.5 == pytest.approx(1, abs=spread)
            assert layer.bias is None
    basis = next(module for module in players(64, width=32)[0].modules() if isinstance(module, Basis))
    assert float(basis.constant.detach().std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("size", "count"), [(8, 4), (128, 12)])
def test_blocks_of_deeper_networks_start_smaller(size: int, count: int) -> None:
    for network in players(size, width=8):
        found = blocks(network)
        assert len(found) == count
        unit = torch.cat([block.widen.weight.detach().flatten() * block.widen.in_channels**0.5 for block in found])
        assert float(unit.std()) == pytest.approx(math.sqrt(2 / 1.04) * count**-0.25, rel=0.05)


def test_there_is_no_normalisation_and_no_sample_sees_another() -> None:
    for network in players():
        kinds = {type(module).__name__ for module in network.modules()}
        assert not [kind for kind in kinds if "Norm" in kind]
        assert not list(network.buffers())
    generator, discriminator = players()
    awaken(generator)
    awaken(discriminator)
    whole, alone = generator(noise()), torch.cat([generator(row[None]) for row in noise()])
    torch.testing.assert_close(whole, alone)
    torch.testing.assert_close(discriminator(whole), torch.cat([discriminator(image[None]) for image in whole]))


def test_the_last_maps_collapse_channel_by_channel() -> None:
    _, discriminator = players(32)
    *_, collapse = discriminator.layers
    assert isinstance(collapse, nn.Conv2d)
    assert collapse.kernel_size == (4, 4)
    assert collapse.groups == collapse.in_channels == 24
    assert float(collapse.weight.detach().square().mean()) == pytest.approx(1 / 16, rel=0.2)


@pytest.mark.parametrize("conditional", [False, True])
def test_every_parameter_has_a_gradient(conditional: bool) -> None:
    generator, discriminator = players(conditional=conditional)
    awaken(generator)
    awaken(discriminator)
    discriminator(generator(noise(), LABELS), LABELS).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_the_penalty_of_the_first_step_is_the_one_of_a_linear_critic() -> None:
    """R1 of a linear function is the squared norm of its only gradient, whatever the image; the blocks get it too."""
    _, discriminator = players()
    norms = []
    for images in (photographs(), photographs(seed=9)):
        images.requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
        norms.append(gradient.square().sum(dim=(1, 2, 3)))
    torch.testing.assert_close(torch.cat(norms), norms[0][0].expand(6))
    awaken(discriminator)
    images = photographs().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    for block in blocks(discriminator):
        for layer in (block.widen, block.mix, block.narrow):
            assert layer.weight.grad is not None
            assert layer.weight.grad.abs().sum() > 0


def test_second_derivatives_are_right() -> None:
    _, discriminator = players(8, width=1)
    awaken(discriminator)
    discriminator.double()
    images = photographs(8).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda given: discriminator(given[:1]).square(), images, fast_mode=True)
