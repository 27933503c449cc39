"""Classifier networks: every size and channel count, options that mean what they say, heads of other libraries."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.config import NetworkConfig
from advgan.models.classifiers.architectures import CLASSIFIERS, build_network
from advgan.models.classifiers.heads import adapt_channels, find_head, replace_head
from attacks.random import seeded, uniform


def build(name: str, *, size: int = 16, channels: int = 1, num_classes: int = 5, **options: int) -> nn.Module:
    with seeded(0):
        return build_network(
            NetworkConfig.model_validate({"name": name, **options}),
            size=size,
            channels=channels,
            num_classes=num_classes,
        )


def pictures(count: int, *, size: int = 16, channels: int = 1) -> Tensor:
    return uniform(0, torch.arange(count), (channels, size, size))


def builder_file(tmp_path: Path, body: str) -> str:
    path = tmp_path / "nets.py"
    path.write_text(f"import torch\nfrom torch import nn\n{body}\n")
    return f"{path}:build"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 11, 15, 20, 28, 32, 47, 64, 96, 224])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_architecture_takes_every_size_and_channel_count(name: str, size: int, channels: int) -> None:
    network = build(name, size=size, channels=channels).eval()
    images = pictures(2, size=size, channels=channels).requires_grad_()
    logits = network(images)
    assert logits.shape == (2, 5)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), images)
    if size % 4 == 0:  # an odd side loses its last row to a halving
        assert (gradient != 0).float().mean() > 0.9  # every part of the image has a say


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_head_is_the_last_linear_layer_and_features_enter_it(name: str) -> None:
    network = build(name).eval()
    head = network.get_submodule(find_head(network))
    assert isinstance(head, nn.Linear)
    features = network.get_submodule("features")(pictures(3))
    assert features.shape == (3, head.in_features)
    assert torch.equal(head(features), network(pictures(3)))


def count(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_depth_counts_what_the_configuration_says(depth: int) -> None:
    assert count(build("mlp", depth=depth), nn.Linear) == depth + 1
    assert count(build("cnn", depth=depth), nn.Conv2d) == depth
    resnet = build("resnet", depth=depth)
    layers = [each for each in resnet.modules() if isinstance(each, (nn.Conv2d, nn.Linear))]
    shortcuts = [each for each in layers if isinstance(each, nn.Conv2d) and each.kernel_size == (1, 1)]
    assert len(layers) - len(shortcuts) == 6 * depth + 2  # He et al. (2015), section 4.2


def test_a_cnn_keeps_the_size_first_and_halves_it_last() -> None:
    convolutions = [each for each in build("cnn", size=28, depth=4).modules() if isinstance(each, nn.Conv2d)]
    assert [each.stride for each in convolutions] == [(1, 1), (1, 1), (2, 2), (2, 2)]
    assert [each.out_channels for each in convolutions] == [16, 16, 32, 64]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_width_is_that_of_the_first_layer(name: str) -> None:
    first = next(each for each in build(name, width=24).modules() if isinstance(each, (nn.Conv2d, nn.Linear)))
    assert first.weight.shape[0] == 24


def test_the_default_resnet_is_the_paper_s_resnet_20() -> None:
    network = build("resnet", size=32, channels=3, num_classes=10)
    assert round(sum(each.numel() for each in network.parameters()) / 1e6, 2) == 0.27  # table 6 of the paper


@pytest.mark.parametrize("name", ["torchvision:squeezenet1_1", "torchvision:mobilenet_v3_small", "timm:test_resnet"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_of_libraries_get_a_head_and_channels_for_the_data(name: str, channels: int) -> None:
    network = build(name, size=32, channels=channels, num_classes=7)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert network(pictures(2, size=32, channels=channels)).shape == (2, 7)


def test_a_timm_transformer_is_built_for_the_size_of_the_data() -> None:
    assert build("timm:test_vit", size=48, num_classes=3)(pictures(2, size=48)).shape == (2, 3)


def test_grey_images_are_seen_as_three_equal_channels_were() -> None:
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5))
    grey = pictures(3)
    expected = network(grey.expand(-1, 3, -1, -1))
    adapt_channels(network, 1)
    assert torch.allclose(network(grey), expected, atol=1e-6)
    adapt_channels(network, 3)
    assert torch.allclose(network(grey.expand(-1, 3, -1, -1)), expected, atol=1e-6)


def test_channels_that_cannot_be_adapted_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes 4 channels and cannot be made to take 3: --set data\.channels=4"):
        adapt_channels(nn.Conv2d(4, 4, 3, groups=4), 3)


def test_a_convolution_can_be_the_head() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    replace_head(network, 5)
    assert network(pictures(2)).shape == (2, 5)


def test_a_builder_gets_the_shape_it_asks_for(tmp_path: Path) -> None:
    source = builder_file(
        tmp_path,
        "def build(num_classes, *, size, channels=9):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, num_classes))",
    )
    assert build(source, size=12, channels=3)(pictures(2, size=12, channels=3)).shape == (2, 5)


def test_a_network_of_a_file_gets_a_new_head_where_it_has_another_number_of_classes(tmp_path: Path) -> None:
    source = builder_file(tmp_path, "build = nn.Sequential(nn.Flatten(), nn.Linear(256, 30), nn.Linear(30, 1000))")
    network = build(source)
    assert network(pictures(2)).shape == (2, 5)
    assert isinstance(network, nn.Sequential)
    assert isinstance(network[1], nn.Linear)
    assert network[1].out_features == 30


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "advgan_test_neighbour.py").write_text("OUTPUTS = 5")
    source = builder_file(
        tmp_path,
        "from advgan_test_neighbour import OUTPUTS\nbuild = nn.Sequential(nn.Flatten(), nn.Linear(256, OUTPUTS))",
    )
    assert build(source)(pictures(2)).shape == (2, 5)


def test_a_name_with_weights_builds_without_them_for_a_caller_who_brings_others() -> None:
    config = NetworkConfig(name="torchvision:squeezenet1_1@IMAGENET1K_V1")
    network = build_network(config, size=32, channels=3, num_classes=4, pretrained=False)
    assert network(pictures(1, size=32, channels=3)).shape == (1, 4)


@pytest.mark.parametrize("name", ["cnn", "timm:test_resnet", "torchvision:squeezenet1_1"])
def test_building_is_a_function_of_the_seed_and_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, second = build(name, size=32).state_dict(), build(name, size=32).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenet", {}, "unknown network 'lenet': choose mlp, cnn, resnet, torchvision:NAME, timm:NAME"),
        ("torchvision:squeezenet1_2", {}, r"did you mean squeezenet1_1"),
        ("timm:resnet1", {}, r"timm has no network 'resnet1': did you mean resnet1"),
        ("torchvision:", {}, "names no network"),
        ("torchvision:squeezenet1_1", {"depth": 2}, "depth and width are options of mlp, cnn, resnet, not of"),
        ("cnn", {"stages": 4}, "network.stages is an option of resnet, not of cnn"),
        ("torchvision:alexnet", {}, r"torchvision:alexnet does not take 1x16x16 images .*--resize"),
        ("torchvision:vit_b_16", {"size": 28}, r"cannot be built for 28x28 images .*--resize"),
        ("nowhere.py:build", {}, "no Python file at nowhere.py"),
    ],
)
def test_a_network_that_cannot_be_built_is_one_clear_line(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        build(name, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def other(): ...", r"has no 'build': it has other"),
        ("def build(num_classes, secret): ...", "needs the arguments secret, but only num_classes, channels, size are"),
        ("def build(): return 3", r"build is of type int: an nn\.Module"),
        ("build = 3", r"build is of type int: an nn\.Module"),
        (
            "def build():\n    raise RuntimeError('two\\nlines')",
            r"calling .* failed: RuntimeError: two lines \(line 4",
        ),
        ("import does_not_exist", r"running .* failed: ModuleNotFoundError: No module named .* \(line 3\)"),
        ("def build(:", r"running .* failed: SyntaxError: .*\(line 3\)"),
        (
            "build = nn.Conv2d(3, 4, 16)",
            r"takes images of 3 channels, the data have 1: --set data\.channels=3",
        ),
        ("build = nn.Sequential(nn.Flatten(), nn.Linear(9, 5))", r"does not take 1x16x16 images"),
        ("build = nn.Conv2d(1, 4, 3)", r"returned shape \(2, 4, 14, 14\)"),
    ],
)
def test_a_builder_that_fails_is_one_clear_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        build(builder_file(tmp_path, body))
    assert "\n" not in str(error.value)
