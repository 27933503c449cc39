from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, interpolate, pad
from torch.nn.utils.parametrize import is_parametrized

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import load_data
from advgan.gan.state import start
from advgan.gan.training import train
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.gans.sngan import SnganDiscriminator, SnganGenerator
from advgan.models.layers.normalization import counters
from advgan.models.layers.residual import (
    DiscriminatorBlock,
    DoublingConvolution,
    GeneratorBlock,
    HalvingConvolution,
    Stage,
    discriminator_stages,
    generator_maps,
    overlapped,
)
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from attacks.random import seeded


def networks(**settings: object) -> GanNetworks:
    return GanNetworks.model_validate({"family": "sngan", "width": 2, "latent_dim": 6, **settings})


def pair(
    size: int, *, channels: int = 3, num_classes: int = 0, **settings: object
) -> tuple[SnganGenerator, SnganDiscriminator]:
    shape = {"size": size, "channels": channels, "num_classes": num_classes}
    with seeded(size):
        generator = build_generator(networks(**settings), **shape)
        discriminator = build_discriminator(networks(**settings), **shape)
    assert isinstance(generator, SnganGenerator)
    assert isinstance(discriminator, SnganDiscriminator)
    return generator, discriminator


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 10, 16, 28, 32, 48, 64, 128])
def test_images_have_the_size_asked_for(size: int, channels: int) -> None:
    labels = torch.tensor([0, 2])
    generator, discriminator = pair(size, channels=channels, num_classes=3, conditional=True)
    images = generator(noise(2, 6), labels)
    assert images.shape == (2, channels, size, size)
    assert 0 < images.abs().max() <= 1
    assert discriminator(images, labels).shape == (2,)


def test_at_32_pixels_the_networks_have_the_parameters_of_the_reference() -> None:
    """Counted by hand from the tables of Miyato et al. (2018): 256 channels in the generator, 128 in the critic."""
    generator, discriminator = pair(32, width=64, latent_dim=128)
    seed = 128 * 4 * 4 * 256 + 4 * 4 * 256
    block = 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256) + 4 * 256
    assert parameters(generator) == seed + 3 * block + 2 * 256 + (9 * 256 * 3 + 3) == 4_276_739
    first = (9 * 3 * 128 + 128) + (9 * 128 * 128 + 128) + (3 * 128 + 128)
    plain = 2 * (9 * 128 * 128 + 128)
    assert parameters(discriminator) == first + 3 * plain + (128 * 128 + 128) + 129 == 1_053_825


def test_maps_are_as_wide_as_in_the_paper() -> None:
    assert generator_maps(32, 64, small=4) == [256, 256, 256, 256]
    assert generator_maps(28, 64, small=4) == [256, 256, 256]
    assert generator_maps(48, 64, small=4) == [512, 256, 128, 64]
    assert generator_maps(64, 64, small=4) == [1024, 512, 256, 128, 64]
    assert generator_maps(128, 64, small=4) == [1024, 1024, 512, 256, 128, 64]
    assert discriminator_stages(32, 64, small=2) == [(128, True), (128, True), (128, False), (128, False)]
    assert discriminator_stages(8, 64, small=2) == [(128, True), (128, False), (128, False)]
    halved = [(64, True), (128, True), (256, True), (512, True), (1024, True)]
    assert discriminator_stages(128, 64, small=2) == [*halved, (1024, False)]
    assert discriminator_stages(64, 64, small=2) == [*halved[:4], (1024, False)]


def test_doubling_first_and_then_convolving_is_one_transposed_convolution() -> None:
    with seeded(0):
        layer = DoublingConvolution(3, 5).double()
    maps = noise(2, 3, 7, 6).double()
    plain = conv2d(interpolate(maps, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(maps), plain, rtol=0, atol=1e-13)


def test_convolving_and_then_halving_is_one_convolution_of_stride_2() -> None:
    with seeded(0):
        layer = HalvingConvolution(3, 5).double()
    maps = noise(2, 3, 8, 14).double()
    plain = avg_pool2d(conv2d(maps, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(maps), plain, rtol=0, atol=1e-13)


def test_blocks_are_those_of_the_paper() -> None:
    """Written out once more, with maps doubled before the convolutions of both paths and halved after."""
    with seeded(0):
        up, down = (
            GeneratorBlock(4, 3, networks(generator_norm="batch")),
            DiscriminatorBlock(4, Stage(3, True), first=False),
        )
    maps = noise(2, 4, 6, 6)
    doubled = interpolate(batch_norm(maps, None, None, training=True).relu(), scale_factor=2, mode="nearest")
    hidden = batch_norm(conv2d(doubled, up.conv1.weight, up.conv1.bias, padding=1), None, None, training=True)
    expected = up.conv2(hidden.relu()) + up.shortcut(interpolate(maps, scale_factor=2, mode="nearest"))
    torch.testing.assert_close(up(maps), expected)
    hidden = conv2d(down.conv1(maps.relu()).relu(), down.conv2.weight, down.conv2.bias, padding=1)
    torch.testing.assert_close(down(maps), avg_pool2d(hidden + down.shortcut(maps), 2))
    down.first = True
    hidden = conv2d(down.conv1(maps).relu(), down.conv2.weight, down.conv2.bias, padding=1)
    torch.testing.assert_close(down(maps), avg_pool2d(hidden + down.shortcut(maps), 2))


def test_features_are_the_sum_over_places() -> None:
    _, discriminator = pair(32)
    blocks = discriminator.trunk.blocks
    discriminator.eval()
    images = noise(2, 3, 32, 32)
    torch.testing.assert_close(discriminator.features(images), blocks(images).relu().sum(dim=(2, 3)))
    assert blocks(images).shape == (2, 4, 8, 8)


@pytest.mark.parametrize("synchronised", [False, True])
def test_conditional_batch_norm_is_plain_batch_norm_with_an_affine_map_for_each_class(synchronised: bool) -> None:
    generator, _ = pair(16, num_classes=3, conditional=True, synchronised=synchronised)
    norm, maps, labels = generator.norm, noise(9, 8, 5, 5), torch.arange(9) % 3
    shifts = noise(8, 3, seed=1)
    norm.shift.weight.data.copy_(shifts)  # type: ignore[union-attr, operator]
    scales = 1 + norm.scale.weight.detach()  # type: ignore[union-attr, operator]
    found = norm(maps, torch.eye(3)[labels])
    plain = batch_norm(maps, None, None, training=True)
    for label in range(3):
        mine = labels == label
        expected = plain[mine] * scales[:, label, None, None] + shifts[:, label, None, None]
        torch.testing.assert_close(found[mine], expected)


def test_synchronised_reaches_every_batch_norm() -> None:
    for conditional in (False, True):
        generator, _ = pair(16, num_classes=3, conditional=conditional, synchronised=True)
        norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(norms) == 2 * 2 + 1
        assert all(isinstance(norm, SynchronisedBatchNorm2d) for norm in norms)


def test_every_weight_of_the_discriminator_has_spectral_norm_1_after_some_passes() -> None:
    _, discriminator = pair(16, width=4, num_classes=3, conditional=True)
    before = largest_singular_values(discriminator)
    with torch.no_grad():
        for step in range(40):
            discriminator(noise(2, 3, 16, 16, seed=step), torch.tensor([0, 1]))
    discriminator.eval()
    after = largest_singular_values(discriminator)
    assert len(after) == 2 * 4 + 2 + 2
    assert max(abs(value - 1) for value in after) < 0.02
    assert max(abs(value - 1) for value in before) > max(abs(value - 1) for value in after)


def largest_singular_values(network: nn.Module) -> list[float]:
    weights = [module.weight for module in network.modules() if is_parametrized(module, "weight")]
    return [float(torch.linalg.svdvals(weight.detach().flatten(1))[0]) for weight in weights]


def test_spectral_norm_can_be_left_out() -> None:
    _, discriminator = pair(16, discriminator_norm="none")
    assert not any(is_parametrized(module) for module in discriminator.modules())


def test_the_discriminator_has_second_derivatives() -> None:
    with seeded(0):
        block = DiscriminatorBlock(2, Stage(3, True), first=True).double()
    images = noise(1, 2, 4, 4).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: block(x).square(), (images,), atol=1e-6)
    _, discriminator = pair(16, num_classes=3, conditional=True)
    images, labels = noise(2, 3, 16, 16).requires_grad_(), torch.tensor([0, 1])
    (gradient,) = torch.autograd.grad(discriminator(images, labels).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [
        module.parametrizations["weight"].original.grad  # type: ignore[union-attr, index]
        for module in discriminator.modules()
        if is_parametrized(module, "weight")
    ]
    assert len(weights) == 12
    assert all(weight is not None and weight.isfinite().all() and weight.abs().sum() > 0 for weight in weights)


def test_in_eval_mode_each_image_depends_on_its_own_row_alone() -> None:
    generator, _ = pair(16, num_classes=3, conditional=True)
    latents, labels = noise(4, 6), torch.tensor([0, 1, 2, 0])
    generator(latents, labels)
    generator.eval()
    whole = generator(latents, labels)
    for row in range(4):
        torch.testing.assert_close(generator(latents[row : row + 1], labels[row : row + 1]), whole[row : row + 1])
    generator.train()
    assert (generator(latents[:2], labels[:2]) - whole[:2]).abs().max() > 1e-3


def test_a_copy_and_a_loaded_network_go_on_alike() -> None:
    images, labels, latents = noise(2, 3, 16, 16), torch.tensor([0, 1]), noise(2, 6)
    generator, discriminator = pair(16, num_classes=3, conditional=True)
    discriminator(images, labels)
    generator(latents, labels)
    copies = deepcopy(generator), deepcopy(discriminator)
    others = pair(16, num_classes=3, conditional=True, latent_kind="uniform")
    with torch.no_grad():
        for network in others:
            for parameter in network.parameters():
                parameter.add_(1)
    for other, network in zip(others, (generator, discriminator), strict=True):
        other.load_state_dict(network.state_dict())
    for _ in range(2):
        drawn, judged = generator(latents, labels), discriminator(images, labels)
        for other_generator, other_discriminator in (copies, others):
            assert torch.equal(other_generator(latents, labels), drawn)
            assert torch.equal(other_discriminator(images, labels), judged)


@pytest.mark.parametrize("kind", ["projection", "concat", "auxiliary", "classes"])
@pytest.mark.parametrize("minibatch", ["none", "discrimination", "deviation"])
def test_every_head_is_there(kind: str, minibatch: str) -> None:
    conditional = kind != "classes"
    _, discriminator = pair(
        16, num_classes=3, conditional=conditional, discriminator_labels=kind, minibatch=minibatch, categorical=4
    )
    images, labels = noise(3, 3, 16, 16), torch.tensor([0, 1, 2])
    features = discriminator.features(images, labels)
    assert discriminator(images, labels).isfinite().all()
    assert discriminator.head.guess(features).shape == (3, 4)
    if kind in ("auxiliary", "classes"):
        assert discriminator.head.classify(features).shape == (3, 3)


def test_weights_are_drawn_as_by_glorot_and_inside_blocks_wider() -> None:
    generator, _ = pair(32, width=16, num_classes=3, conditional=True)
    block = generator.blocks[0]
    assert isinstance(block, GeneratorBlock)
    bound = (6 / (2 * 9 * 64)) ** 0.5
    for convolution in (block.conv1, block.conv2):
        assert float(convolution.weight.detach().abs().max()) == pytest.approx(2**0.5 * bound, rel=0.01)
        assert (convolution.bias == 0).all()
    assert float(block.shortcut.weight.detach().abs().max()) == pytest.approx((6 / 128) ** 0.5, rel=0.01)
    assert float(block.norm1.scale.weight.detach().std()) == pytest.approx(0.02, rel=0.3)  # type: ignore[union-attr, operator]
    assert (block.norm1.shift.weight == 0).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("mean", [False, True])
def test_overlapping_a_kernel_is_the_sum_of_its_placements_to_the_bit_with_gradients_in_their_order(mean: bool) -> None:
    """Shared by two passes, whose gradients are added placement after placement."""

    def placed(weight: Tensor) -> Tensor:
        rows = pad(weight, (0, 0, 0, 1)) + pad(weight, (0, 0, 1, 0))
        kernel = pad(rows, (0, 1)) + pad(rows, (1, 0))
        return kernel / 4 if mean else kernel

    torch.manual_seed(0)
    weight, sides = torch.randn(6, 5, 3, 3, requires_grad=True), torch.randn(2, 6, 5, 4, 4)
    found = [overlapped(weight, mean=mean) for _ in sides]
    expected = [placed(weight) for _ in sides]
    assert torch.equal(found[0], expected[0])
    gradients = [
        torch.autograd.grad(sum((kernel * side).sum() for kernel, side in zip(kernels, sides, strict=True)), weight)[0]
        for kernels in (found, expected)
    ]
    assert torch.equal(*gradients)


def test_layers_count_the_batches_that_a_training_passes() -> None:
    networks = GanNetworks(family="sngan", width=4, latent_dim=6)
    training = GanTraining(steps=3, batch_size=8, discriminator_steps=2)
    state = start(networks, training, size=8, channels=1, num_classes=10)
    list(train(state, load_data(DataConfig(source="digits")).train, training))
    counts = counters(state.generator)
    assert [int(count) for count in counts] == [6] * 3
    assert [int(count) for count in counters(state.average)] == [6] * 3
    assert {name for name in state.generator.state_dict() if "num_batches" in name} == {
        f"{name}.num_batches_tracked" for name in ("blocks.0.norm1.norm", "blocks.0.norm2.norm", "norm.norm")
    }
