from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear

from advgan.config import GanNetworks
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.gans.progressive import Level, ProgressiveDiscriminator, ProgressiveGenerator, level
from advgan.models.interface import Growing, Network, Practising
from advgan.models.layers.doubling import depths, doubles, enlarge, resolutions, shrink
from advgan.models.layers.equalised import EqualisedConv2d, EqualisedLinear
from attacks.random import normal, seeded, uniform

FIFTHS = [0.0, 0.2, 0.3, 0.4, 0.6, 0.75, 0.8, 1.0]
"""Of the five phases of an image of 28 pixels: 7 alone, 14 faded in and alone, 28 faded in and alone."""
LABELS = torch.tensor([0, 2, 1])


def players(
    size: int = 28, *, conditional: bool = False, minibatch: str = "deviation", seed: int = 0
) -> tuple[ProgressiveGenerator, ProgressiveDiscriminator]:
    networks = GanNetworks.model_validate(
        {"family": "progressive", "width": 3, "latent_dim": 6, "conditional": conditional, "minibatch": minibatch}
    )
    with seeded(seed):
        generator = build_generator(networks, size=size, channels=1, num_classes=3)
        discriminator = build_discriminator(networks, size=size, channels=1, num_classes=3)
        _train_biases(generator, discriminator)
    assert isinstance(generator, ProgressiveGenerator)
    assert isinstance(discriminator, ProgressiveDiscriminator)
    return generator, discriminator


def _train_biases(*networks: Network) -> None:
    """Move biases away from 0, where pixel norm would hide the scale of what comes before it."""
    for network in networks:
        for module in network.modules():
            if isinstance(module, (EqualisedLinear, EqualisedConv2d)):
                nn.init.normal_(module.bias)  # type: ignore[arg-type]


def noise() -> Tensor:
    return normal(0, torch.arange(3), (6,))


def photographs(size: int = 28) -> Tensor:
    return uniform(1, torch.arange(3), (1, size, size)) * 2 - 1


def test_sides_double_from_a_base_of_four_to_seven() -> None:
    assert [size for size in range(1, 65) if doubles(size)] == [
        *(4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28),
        *(32, 40, 48, 56, 64),
    ]
    assert resolutions(28) == [7, 14, 28]
    assert resolutions(32) == [4, 8, 16, 32]
    assert resolutions(5) == [5]
    assert depths(32, 3) == [24, 12, 6, 3]
    assert depths(128, 2) == [16, 16, 16, 8, 4, 2]


def test_shrinking_undoes_enlarging_and_averages_over_blocks() -> None:
    small = photographs(7)
    assert torch.equal(shrink(enlarge(small, 28), 7), small)
    image = torch.arange(64.0).view(1, 1, 8, 8)
    torch.testing.assert_close(shrink(image, 4)[0, 0, 1, 2], image[0, 0, 2:4, 4:6].mean())
    torch.testing.assert_close(shrink(image, 2)[0, 0, 1, 0], image[0, 0, 4:, :4].mean())


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, (0, 1.0)),
        (0.19, (0, 1.0)),
        (0.2, (1, 0.0)),
        (0.25, (1, 0.25)),
        (0.3, (1, 0.5)),
        (0.4, (1, 1.0)),
        (0.59, (1, 1.0)),
        (0.6, (2, 0.0)),
        (0.75, (2, 0.75)),
        (0.8, (2, 1.0)),
        (1.0, (2, 1.0)),
    ],
)
def test_three_stages_take_five_equal_phases(progress: float, expected: tuple[int, float]) -> None:
    stage, alpha = level(progress, 3)
    assert stage == expected[0]
    assert alpha == pytest.approx(expected[1], abs=1e-12)


def test_the_level_never_falls_and_a_single_stage_never_fades() -> None:
    for stages in range(1, 6):
        shown = [level(step / 1000, stages) for step in range(1001)]
        heights = [stage - 1 + alpha for stage, alpha in shown]
        assert heights == sorted(heights)
        assert all(0 <= alpha <= 1 for _, alpha in shown)
        assert shown[0] == Level(0, 1.0)
        assert shown[-1] == Level(stages - 1, 1.0)
    assert {level(step / 10, 1) for step in range(11)} == {Level(0, 1.0)}


@pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan")])
def test_a_progress_that_is_no_share_is_refused(progress: float) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 1"):
        players()[0].grow(progress)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("before", "start"), [(0.1, 0.2), (0.5, 0.6)])
def test_at_alpha_zero_both_networks_equal_the_stage_before_bit_for_bit(
    before: float, start: float, conditional: bool
) -> None:
    generator, discriminator = players(conditional=conditional)
    shown, judged = [], []
    for progress in (before, start):
        generator.grow(progress)
        discriminator.grow(progress)
        shown.append(generator(noise(), LABELS))
        judged.append(discriminator(photographs(), LABELS))
    assert generator.growth.level.alpha == 0
    assert torch.equal(*shown)
    assert torch.equal(*judged)
    generator.grow(start + 0.1)
    discriminator.grow(start + 0.1)
    assert not torch.equal(generator(noise(), LABELS), shown[0])
    assert not torch.equal(discriminator(photographs(), LABELS), judged[0])


@pytest.mark.parametrize(
    ("progress", "side"), [(0.0, 7), (0.2, 7), (0.3, 14), (0.5, 14), (0.6, 14), (0.7, 28), (1, 28)]
)
def test_images_have_full_size_and_the_detail_of_their_level(progress: float, side: int) -> None:
    generator, _ = players()
    generator.grow(progress)
    images = generator(noise())
    assert images.shape == (3, 1, 28, 28)
    assert torch.equal(images, enlarge(images[:, :, :: 28 // side, :: 28 // side], 28))
    if side > 7:
        assert not torch.equal(images, enlarge(shrink(images, side // 2), 28))


def convolve(maps: Tensor, layer: nn.Module, *, padding: int = 0, gain: float = 2**0.5) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return conv2d(maps, weight * gain / weight[0].numel() ** 0.5, padding=padding) + layer.bias[:, None, None]  # type: ignore[index]


def unit(features: Tensor) -> Tensor:
    return features / features.square().mean(dim=1, keepdim=True).sqrt()


def test_a_faded_image_is_what_the_paper_says() -> None:
    """The generator at alpha 1/2 of its second stage, written out."""
    generator, _ = players(14)
    generator.double()
    dense, first = [layer for layer in generator.stages[0].children() if hasattr(layer, "weight")]
    assert isinstance(dense, nn.Linear)
    latents = unit(noise().double())
    small = linear(latents, dense.weight * (2 / 6) ** 0.5, dense.bias).view(3, 6, 7, 7)
    small = unit(leaky_relu(small, 0.2))
    small = unit(leaky_relu(convolve(small, first, padding=1), 0.2))
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    for layer in generator.stages[1].children():
        if hasattr(layer, "weight"):
            large = unit(leaky_relu(convolve(large, layer, padding=1), 0.2))
    images = [
        convolve(maps, to_image[0], gain=1).tanh()  # type: ignore[index]
        for maps, to_image in zip((small, large), generator.to_images, strict=True)
    ]
    coarse = images[0].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    generator.grow(0.5)
    assert generator.growth.level == (1, 0.5)
    torch.testing.assert_close(generator(noise().double()), (coarse + images[1]) / 2, rtol=1e-4, atol=1e-5)
    generator.grow(1.0)
    torch.testing.assert_close(generator(noise().double()), images[1], rtol=1e-4, atol=1e-5)


def test_faded_features_are_what_the_paper_says() -> None:
    """The discriminator at alpha 1/2 of its second stage, written out."""
    _, discriminator = players(14)
    images = photographs(14)
    pooled = images.view(3, 1, 7, 2, 7, 2).mean(dim=(3, 5))
    enter = [stage[0] for stage in discriminator.from_images]  # type: ignore[index]
    fine = leaky_relu(convolve(images, enter[1]), 0.2)
    for layer in discriminator.stages[1].children():
        if hasattr(layer, "weight"):
            fine = leaky_relu(convolve(fine, layer, padding=1), 0.2)
    fine = fine.view(3, 6, 7, 2, 7, 2).mean(dim=(3, 5))
    coarse = leaky_relu(convolve(pooled, enter[0]), 0.2)
    for progress, maps in ((0.5, (fine + coarse) / 2), (1.0, fine)):
        spread = maps.std(dim=0, correction=0).mean().expand(3, 1, 7, 7)
        maps = torch.cat([maps, spread], dim=1)
        first, last = [layer for layer in discriminator.stages[0].children() if hasattr(layer, "weight")]
        maps = leaky_relu(convolve(maps, first, padding=1), 0.2)
        maps = leaky_relu(convolve(maps, last), 0.2)
        discriminator.grow(progress)
        torch.testing.assert_close(discriminator.features(images), maps.flatten(1), rtol=1e-4, atol=1e-5)


def test_real_images_are_faded_like_the_generated_ones() -> None:
    generator, _ = players(14)
    real = photographs(14)
    coarse = enlarge(shrink(real, 7), 14)
    for progress, expected in ((0.0, coarse), (0.5, (coarse + real) / 2), (1.0, real)):
        generator.grow(progress)
        torch.testing.assert_close(generator.exhibit(real), expected)
    generator, _ = players(28)
    for progress in FIFTHS:
        generator.grow(progress)
        drawn = generator(noise())
        assert torch.equal(generator.practise(noise(), None, photographs()), drawn)
        sides = generator.sides[generator.growth.level.stage]
        assert torch.equal(shrink(drawn, sides), drawn[:, :, :: 28 // sides, :: 28 // sides])
        assert generator.exhibit(photographs()).shape == (3, 1, 28, 28)


@pytest.mark.parametrize("progress", FIFTHS)
def test_exactly_the_parameters_of_the_level_have_gradients(progress: float) -> None:
    generator, discriminator = players(conditional=True)
    for network in (generator, discriminator):
        network.grow(progress)
    stage, alpha = generator.growth.level
    discriminator(generator(noise(), LABELS), LABELS).sum().backward()
    taking = {stage} if alpha == 1 else {stage - 1, stage}
    for network, ends in ((generator, "to_images"), (discriminator, "from_images")):
        for name, parameter in network.named_parameters():
            kind, number, *_ = name.split(".")
            part = int(number) in taking if kind == ends else kind != "stages" or int(number) <= stage
            assert (parameter.grad is not None) == part, name


def test_the_deviation_of_the_batch_is_seen_only_where_it_is_chosen() -> None:
    for minibatch, couples in (("deviation", True), ("none", False)):
        _, discriminator = players(minibatch=minibatch)
        images = photographs().requires_grad_()
        discriminator(images)[0].backward()
        assert images.grad is not None
        assert bool((images.grad[1:] != 0).any()) == couples


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_a_gradient_penalty_reaches_the_weights_of_the_level(progress: float) -> None:
    _, discriminator = players(conditional=True)
    discriminator.grow(progress)
    images = photographs().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images, LABELS).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    stage = discriminator.growth.level.stage
    for number in range(stage + 1):
        for name, parameter in discriminator.stages[number].named_parameters():
            if name.endswith("weight"):
                assert parameter.grad is not None
                assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("player", [0, 1])
def test_the_level_is_part_of_the_state_and_of_copies(player: int, tmp_path: Path) -> None:
    grown, fresh, inputs = players()[player], players(seed=1)[player], (noise(), photographs())[player]
    assert fresh.growth.level == (2, 1.0)
    grown.grow(0.3)
    assert deepcopy(grown).growth.progress == 0.3
    state = grown.state_dict()
    assert [name for name in state if name not in dict(grown.named_parameters())] == ["growth._extra_state"]
    save_file(state, tmp_path / "weights.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert fresh.growth.progress == 0.3
    assert torch.equal(fresh(inputs), grown(inputs))


def test_the_loop_knows_both_networks_by_their_protocols() -> None:
    generator, discriminator = players()
    assert isinstance(generator, Growing)
    assert isinstance(generator, Practising)
    assert isinstance(discriminator, Growing)
    assert not isinstance(discriminator, Practising)


def test_latents_of_any_length_draw_the_same_image() -> None:
    generator, _ = players()
    torch.testing.assert_close(generator(noise()), generator(7 * noise()), rtol=1e-4, atol=1e-5)
