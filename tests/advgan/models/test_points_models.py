import pytest
import torch
from torch import nn

from advgan.config import GanNetworks
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.gans.points import PIECES, Maxout
from attacks.random import normal, seeded

POINTS = normal(1, torch.arange(6), (2, 1, 1))
LABELS = torch.arange(6) % 3


def networks(**settings: object) -> GanNetworks:
    return GanNetworks.model_validate({"family": "points", "width": 4, "latent_dim": 2, **settings})


def test_width_100_has_the_layers_of_the_paper() -> None:
    shape = {"size": 1, "channels": 2, "num_classes": 0}
    generator = build_generator(networks(width=100), **shape)
    discriminator = build_discriminator(networks(width=100), **shape)
    sizes = [
        [(layer.in_features, layer.out_features) for layer in network.modules() if isinstance(layer, nn.Linear)]
        for network in (generator, discriminator)
    ]
    assert sizes == [[(2, 400), (400, 400), (400, 2)], [(2, 1000), (200, 1000), (200, 1000), (200, 1)]]
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in generator.modules()) == 2


def test_maxout_is_the_largest_piece_of_each_unit() -> None:
    with seeded(0):
        layer = Maxout(3, 4)
    inputs = normal(0, torch.arange(7), (3,))
    expected = torch.empty(7, 4)
    for row in range(7):
        for unit in range(4):
            pieces = range(unit * PIECES, (unit + 1) * PIECES)
            expected[row, unit] = max(layer.linear.weight[p] @ inputs[row] + layer.linear.bias[p] for p in pieces)
    torch.testing.assert_close(layer(inputs), expected)


def test_maxout_can_be_the_absolute_value() -> None:
    layer = Maxout(1, 1)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0], [-1.0], [0.0], [0.5], [-0.5]]))
        layer.linear.bias.zero_()
    assert layer(torch.tensor([[-3.0], [0.0], [2.0]])).flatten().tolist() == [3, 0, 2]


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("labels", ["projection", "concat", "auxiliary"])
def test_points_come_out_and_go_in(dim: int, conditional: bool, labels: str) -> None:
    shape = {"size": 1, "channels": dim, "num_classes": 3}
    settings = networks(conditional=conditional, discriminator_labels=labels)
    points = build_generator(settings, **shape)(normal(0, torch.arange(6), (2,)), LABELS)
    assert points.shape == (6, dim, 1, 1)
    assert build_discriminator(settings, **shape)(points, LABELS).shape == (6,)


def test_points_may_lie_anywhere() -> None:
    with seeded(0):
        generator = build_generator(networks(), size=1, channels=2, num_classes=0).eval()
    last = generator.layers[-2]  # type: ignore[attr-defined]
    latents = normal(0, torch.arange(6), (2,))
    before = generator(latents)
    with torch.no_grad():
        last.weight.mul_(50)
        last.bias.mul_(50)
    torch.testing.assert_close(generator(latents), 50 * before)
    assert (50 * before).abs().max() > 4


def test_a_discriminator_of_packs_takes_as_many_channels() -> None:
    discriminator = build_discriminator(networks(packing=3), size=1, channels=2, num_classes=0)
    packs = POINTS.view(2, 6, 1, 1)
    logits = discriminator(packs)
    assert logits.shape == (2,)
    changed = packs.clone()
    changed[0, 5] += 1
    assert (discriminator(changed) != logits).tolist() == [True, False]


def test_the_gradient_of_a_point_can_be_penalised() -> None:
    with seeded(0):
        discriminator = build_discriminator(networks(), size=1, channels=2, num_classes=0, penalised=True)
    points = POINTS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    assert (gradient != 0).any(dim=1).all()
    gradient.square().sum().backward()
    weights = [layer.weight.grad for layer in discriminator.modules() if isinstance(layer, nn.Linear)]
    assert all(weight is not None and (weight != 0).any() for weight in weights)


def test_images_are_not_points() -> None:
    with pytest.raises(ValueError, match="family points draws images of one pixel, which are points, these have 8"):
        build_generator(networks(), size=8, channels=2, num_classes=0)
