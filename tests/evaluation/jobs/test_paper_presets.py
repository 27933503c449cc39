"""The recipes of published figures: their networks are as large as the published codes', and each of them trains."""

from typing import Any

import pytest
import torch
from torch import nn

from advgan.classifier.training import start as start_classifier
from advgan.classifier.training import train as train_classifier
from advgan.config.presets import preset_file, preset_names
from advgan.config.resolve import resolve
from advgan.data import ImageSet
from advgan.gan.state import start
from advgan.gan.training import train
from advgan.models.classifiers.architectures import build_network
from advgan.models.gans.families import build_discriminator, build_generator
from attacks.random import seeded
from evaluation.jobs.fit.job import FitConfig
from evaluation.jobs.listing import listing
from evaluation.jobs.train.job import TrainConfig

GANS = [name for name in preset_names("train") if name.startswith("paper/")]
CLASSIFIERS = [name for name in preset_names("fit") if name.startswith("paper/")]
SIZES = {"paper/dcgan64": 64, "paper/stacked-mnist": 28, "paper/stacked-mnist-packed": 28}
PARAMETERS = {
    # Generator and discriminator of each code, counted by running it: sum(p.numel() for p in network.parameters()).
    "paper/dcgan64": (3_576_704, 2_765_568),  # pytorch/examples 77f55b9, dcgan/main.py
    "paper/sngan-cifar10": (4_276_739, 1_053_825),  # mimicry a7fda06, SNGANGenerator32, SNGANDiscriminator32
    "paper/projection-cifar10": (4_304_387, 1_055_105),  # mimicry a7fda06, CGANPDGenerator32, CGANPDDiscriminator32
    "paper/wgan-gp-cifar10": (4_276_739, 1_053_825),  # mimicry a7fda06, WGANGPGenerator32, WGANGPDiscriminator32
    "paper/r3gan-cifar10": (20_781_952, 21_280_512),  # brownvc/R3GAN 19a7ddf, preset CIFAR10 with --cond=1
    # Counted by hand from StudioGAN 947b35e, models/big_resnet.py; see `biggan_parameters`.
    "paper/biggan-cifar10": (9_416_196, 2_415_170),
}
SHRUNK: dict[str, Any] = {
    "networks.width": 4,
    "training.batch_size": 4,
    "training.discriminator_steps": 1,
    "training.steps": 2,
}


def configuration(name: str, **more: Any) -> TrainConfig:
    return resolve(TrainConfig, file=preset_file("train", name), overrides=more)


def count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def pictures(size: int) -> ImageSet:
    pixels = torch.randint(0, 256, (24, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(24) % 10, tuple("abcdefghij"), "toy")


def test_there_are_recipes_of_both_verbs() -> None:
    assert set(PARAMETERS) | set(SIZES) == set(GANS)
    assert CLASSIFIERS == ["paper/cifar10-pgd-preact-resnet18", "paper/cifar10-preact-resnet18"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_s_networks_have_as_many_parameters_as_the_published_code_s(name: str) -> None:
    networks = configuration(name).networks
    shape = {"size": SIZES.get(name, 32), "channels": 3, "num_classes": 10}
    with seeded(0):
        players = build_generator(networks, **shape), build_discriminator(networks, **shape)
    assert (count(players[0]), count(players[1])) == PARAMETERS[name]


def biggan_parameters() -> tuple[int, int]:
    """Of StudioGAN's BigGAN at 32 pixels: g_conv_dim and d_conv_dim 96, z_dim 80 in four chunks, shared_dim 128."""
    wide, narrow, chunk, classes = 4 * 96, 2 * 96, 20, 10

    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + outputs

    def attention(channels: int) -> int:
        return 2 * (channels * channels // 8) + 2 * (channels * channels // 2) + 1

    norms = 2 * 2 * (128 + chunk) * wide
    block = norms + 2 * convolution(wide, wide, 3) + convolution(wide, wide, 1)
    seed = chunk * wide * 16 + wide * 16
    generator = seed + classes * 128 + 3 * block + attention(wide) + 2 * wide + convolution(wide, 3, 3)
    first = convolution(3, narrow, 3) + convolution(narrow, narrow, 3) + convolution(3, narrow, 1)
    rest = 3 * 2 * convolution(narrow, narrow, 3) + convolution(narrow, narrow, 1)
    return generator, first + rest + attention(narrow) + narrow + 1 + classes * narrow


def test_biggan_s_parameters_are_those_of_its_tables() -> None:
    assert biggan_parameters() == PARAMETERS["paper/biggan-cifar10"]


@pytest.mark.parametrize("name", GANS)
def test_a_recipe_trains(name: str) -> None:
    more = SHRUNK | ({"networks.discriminator_width": 2} if "biggan" in name else {})
    config = configuration(name, **more)
    data = pictures(16 if "64" in name else SIZES.get(name, 32))
    state = start(config.networks, config.training, size=data.size, channels=3, num_classes=10)
    steps = list(train(state, data, config.training))
    assert len(steps) == 2
    assert all(step.discriminator_loss.isfinite() and step.generator_loss.isfinite() for step in steps)


def test_the_recipe_s_classifier_is_the_pre_activation_resnet_18() -> None:
    """11,171,146 parameters in kuangliu/pytorch-cifar's, and the last batch norm of locuslab's 512 maps."""
    for name in CLASSIFIERS:
        network = resolve(FitConfig, file=preset_file("fit", name)).network
        assert count(build_network(network, size=32, channels=3, num_classes=10)) == 11_171_146 + 2 * 512


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_s_recipe_trains(name: str) -> None:
    shrunk = {"network.width": 2, "training.batch_size": 8, "training.epochs": 2, "training.drop_epochs": [1]}
    config, data = resolve(FitConfig, file=preset_file("fit", name), overrides=shrunk), pictures(32)
    state = start_classifier(config.network, config.training, data)
    steps = list(train_classifier(state, data, config.training))
    assert [step.learning_rate for step in steps] == pytest.approx([0.1] * 3 + [0.01] * 3)
    assert {step.eps for step in steps} == {8 / 255 if "pgd" in name else 0}
    assert isinstance(state.network, nn.Module)


def test_recipes_are_listed_with_source_figure_and_cost() -> None:
    lines = dict(listing("presets"))
    for verb, names in (("train", GANS), ("fit", CLASSIFIERS)):
        for name in names:
            about = lines[f"{verb} --preset {name}"]
            source, _, rest = about.partition(":")
            assert len(source.split()[-1]) >= 6, f"{name} names a commit"
            assert ";" in rest, f"{name} says what to expect, and what it costs"
