"""The settings with which networks are those of published codes, each against the plain operations behind it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate

from advgan.config import GanNetworks
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.interface import Discriminator, Generator
from advgan.models.layers.conditioning import EmbeddedLatents
from advgan.models.layers.filtered import FilteredDoubling, FilteredHalving
from advgan.models.layers.residual import DiscriminatorBlock, GeneratorBlock, Stage
from attacks.random import seeded

LABELS = torch.tensor([0, 2, 1])


def players(*, size: int = 16, **settings: object) -> tuple[Generator, Discriminator]:
    networks = GanNetworks.model_validate({"family": "sngan", "width": 2, "latent_dim": 6, **settings})
    shape = {"size": size, "channels": 3, "num_classes": 3}
    with seeded(0):
        return build_generator(networks, **shape), build_discriminator(networks, **shape)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_bilinear_block_doubles_and_then_convolves() -> None:
    networks = GanNetworks(family="sngan", resampling="bilinear")
    with seeded(0):
        block = GeneratorBlock(2, 3, networks).double().eval()
    maps = noise(2, 2, 4, 4).double()
    hidden = interpolate(block.norm1(maps).relu(), scale_factor=2, mode="bilinear", align_corners=False)
    hidden = conv2d(hidden, block.conv1.weight, block.conv1.bias, padding=1)
    hidden = block.conv2(block.norm2(hidden).relu())
    doubled = interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(block(maps), hidden + block.shortcut(doubled), rtol=0, atol=1e-13)


@pytest.mark.parametrize("stage", [Stage(4, halves=True), Stage(4, halves=False)])
def test_a_rectified_shortcut_takes_what_an_in_place_relu_leaves(stage: Stage) -> None:
    with seeded(0):
        block = DiscriminatorBlock(4, stage, first=False, rectified=True).double()
    maps = noise(2, 4, 6, 6).double()
    conv1, conv2 = block.conv1, block.conv2
    hidden = conv2d(maps.relu(), conv1.weight, conv1.bias, padding=1).relu()
    hidden = conv2d(hidden, conv2.weight, conv2.bias, padding=1)
    shortcut = block.shortcut(maps.relu())
    if stage.halves:
        hidden, shortcut = avg_pool2d(hidden, 2), avg_pool2d(shortcut, 2)
    torch.testing.assert_close(block(maps), hidden + shortcut, rtol=0, atol=1e-13)


def test_the_first_block_has_no_relu_before_its_shortcut() -> None:
    with seeded(0):
        plain = DiscriminatorBlock(3, Stage(4, halves=True), first=True)
    with seeded(0):
        rectified = DiscriminatorBlock(3, Stage(4, halves=True), first=True, rectified=True)
    assert torch.equal(plain(noise(2, 3, 6, 6)), rectified(noise(2, 3, 6, 6)))


def test_features_can_be_means_over_places() -> None:
    _, summed = players(discriminator_norm="none")
    _, averaged = players(discriminator_norm="none", pooling="mean")
    images = noise(2, 3, 16, 16)
    torch.testing.assert_close(averaged.features(images), summed.features(images) / 16)


@pytest.mark.parametrize("side", [4, 7])
def test_filtered_maps_are_the_convolutions_with_zeros_beyond_the_border(side: int) -> None:
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (torch.outer(weights, weights) / 64)[None, None]
    maps = noise(2, 1, side, side)
    doubled = conv_transpose2d(maps, 4 * kernel, stride=2, padding=1)
    torch.testing.assert_close(FilteredDoubling(side)(maps), doubled)
    torch.testing.assert_close(FilteredHalving(2 * side)(doubled), conv2d(doubled, kernel, stride=2, padding=1))


def test_the_filter_s_matrix_is_no_part_of_a_checkpoint() -> None:
    generator, discriminator = players(family="r3gan", resampling="filter")
    for network in (generator, discriminator):
        assert any(isinstance(module, FilteredDoubling | FilteredHalving) for module in network.modules())
        assert not any("matrix" in name for name in network.state_dict())


def test_an_r3gan_can_be_as_wide_everywhere() -> None:
    for network in players(family="r3gan", width=8, deepest=1):
        widths = {module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)}
        assert widths == {3, 8, 16} - ({3} if isinstance(network, type(players(family="r3gan")[0])) else set())


def test_the_product_head_multiplies_a_linear_map_with_the_label_s_vector() -> None:
    _, discriminator = players(family="r3gan", conditional=True, discriminator_labels="product")
    images = noise(3, 3, 16, 16)
    head, features = discriminator.head, discriminator.features(images, LABELS)
    assert isinstance(head, nn.Module)
    matrix, vectors = head.get_parameter("linear.weight"), head.get_parameter("embedding.weight")
    expected = ((features @ matrix.T) * vectors[LABELS]).sum(dim=1)
    torch.testing.assert_close(discriminator(images, LABELS), expected)
    assert sum(parameter.numel() for parameter in head.parameters()) == matrix.numel() + vectors.numel()


def test_the_product_head_without_classes_is_linear_without_a_bias() -> None:
    _, discriminator = players(family="r3gan", discriminator_labels="product")
    features = discriminator.features(noise(3, 3, 16, 16))
    assert isinstance(discriminator.head, nn.Module)
    weight = discriminator.head.get_parameter("linear.weight")
    torch.testing.assert_close(discriminator(noise(3, 3, 16, 16)), (features @ weight.T)[:, 0])
    assert [name for name, _ in discriminator.head.named_parameters()] == ["linear.weight"]


def test_logits_of_the_product_start_at_the_scale_of_the_features() -> None:
    """The linear map keeps the mean square of the features, and K vectors of length D have the scale 1 / (K D)."""
    _, discriminator = players(family="r3gan", width=64, conditional=True, discriminator_labels="product")
    assert isinstance(discriminator.head, nn.Module)
    vectors = discriminator.head.get_parameter("embedding.weight")
    assert vectors.std().item() == pytest.approx((3 * vectors.shape[1]) ** -0.5, rel=0.1)
    matrix = discriminator.head.get_parameter("linear.weight")
    assert matrix.std().item() == pytest.approx(matrix.shape[1] ** -0.5, rel=0.1)


def test_an_embedding_is_appended_to_the_latents() -> None:
    with seeded(0):
        inputs = EmbeddedLatents(6, num_classes=3)
    latents = noise(3, 6)
    assert inputs.embedding is not None
    assert torch.equal(inputs(latents, LABELS), torch.cat([latents, inputs.embedding.weight[LABELS]], dim=1))
    assert inputs.width == 12
    plain = EmbeddedLatents(6, num_classes=0)
    assert plain.width == 6
    assert plain(latents, None) is latents


def test_images_of_a_linear_output_are_those_before_tanh() -> None:
    bounded, _ = players(family="r3gan")
    linear, _ = players(family="r3gan", output="linear")
    torch.testing.assert_close(bounded(noise(2, 6)), linear(noise(2, 6)).tanh())


def test_inner_batch_norms_leave_the_last_one_to_all_classes() -> None:
    every, _ = players(conditional=True)
    inner, _ = players(conditional=True, generator_labels="inner-batch-norm")
    told = {name for name in every.state_dict() if "scale" in name or "shift" in name}
    assert {name for name in told if name.startswith("norm.")}
    assert {name for name in inner.state_dict() if "scale" in name or "shift" in name} == {
        name for name in told if not name.startswith("norm.")
    }
    assert inner(noise(3, 6), LABELS).shape == (3, 3, 16, 16)


def test_a_dcgan_without_outer_biases_has_those_of_its_norms_alone() -> None:
    for network in players(family="dcgan", outer_biases=False):
        layers = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
        assert all(module.bias is None for module in network.modules() if isinstance(module, layers))
    assert players(family="dcgan")[1](noise(2, 3, 16, 16)).shape == (2,)


def test_the_discriminator_can_have_a_width_of_its_own() -> None:
    generator, discriminator = players(family="biggan", width=2, discriminator_width=3)
    _, wide = players(family="biggan", width=3)
    narrow, _ = players(family="biggan", width=2)
    assert {name: value.shape for name, value in discriminator.state_dict().items()} == {
        name: value.shape for name, value in wide.state_dict().items()
    }
    assert generator.state_dict().keys() == narrow.state_dict().keys()


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "dcgan", "resampling": "bilinear"},
        {"family": "sngan", "resampling": "filter"},
        {"family": "r3gan", "pooling": "mean"},
        {"family": "dcgan", "rectified_shortcuts": True},
        {"family": "sngan", "outer_biases": False},
        {"family": "progressive", "deepest": 1},
        {"family": "sngan", "output": "linear"},
        {"family": "dcgan", "discriminator_labels": "product"},
        {"family": "biggan", "generator_labels": "inner-batch-norm"},
        {"family": "sngan", "generator_labels": "embedding"},
    ],
    ids=str,
)
def test_a_setting_that_a_family_has_not_is_refused_by_name(settings: dict[str, object]) -> None:
    name = next(key for key in settings if key != "family")
    with pytest.raises(ValueError, match=f"networks.{name}"):
        players(**settings)
