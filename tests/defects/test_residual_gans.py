"""Defects of other libraries' residual GANs."""

import pytest
import torch
from torch import nn

from advgan.config import GanNetworks
from advgan.gan.orthogonal import off_diagonal
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.layers.residual import DiscriminatorBlock, Stage
from attacks.random import seeded


@pytest.mark.parametrize("halves", [False, True])
def test_mimicry_in_place_relu_reaches_the_shortcut(halves: bool) -> None:
    """Its blocks apply ReLU to their input in place, so that the shortcut loses all negative values too."""
    with seeded(0):
        block = DiscriminatorBlock(3, Stage(3, halves), first=False)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)  # type: ignore[arg-type]
    if isinstance(block.shortcut, nn.Conv2d):
        nn.init.dirac_(block.shortcut.weight)
        nn.init.zeros_(block.shortcut.bias)  # type: ignore[arg-type]
    maps = torch.full((1, 3, 4, 4), -2.0)
    assert (block(maps) == -2).all()
    assert (maps == -2).all()


@pytest.mark.parametrize("family", ["sngan", "biggan"])
def test_studiogan_residual_networks_take_three_channels_only(family: str) -> None:
    """Its networks have the 3 of colour images written into them, so that grey images cannot be learnt."""
    networks = GanNetworks.model_validate({"family": family, "width": 2, "latent_dim": 6})
    generator = build_generator(networks, size=28, channels=1, num_classes=0)
    images = generator(torch.zeros(2, 6))
    assert images.shape == (2, 1, 28, 28)
    assert build_discriminator(networks, size=28, channels=1, num_classes=0)(images).shape == (2,)


def test_biggan_pytorch_orthogonal_gradient_is_half_of_its_penalty_s() -> None:
    """It adds 2 (W W^T * (1 - I)) W to the gradient, where the derivative of the paper's penalty has 4."""
    with seeded(0):
        layer = nn.Linear(5, 4).double()
    off_diagonal(layer).backward()
    weight = layer.weight.detach()
    gram = weight @ weight.T
    torch.testing.assert_close(layer.weight.grad, 4 * (gram - gram.diag().diag()) @ weight)
