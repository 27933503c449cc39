"""A GAN's training on the device: recordings change no bit, sums have one order, layouts are nobody's business."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advgan.classifier import training as classifier_training
from advgan.config import ClassifierTraining, GanNetworks, GanTraining, NetworkConfig
from advgan.config.presets import preset_file, preset_names
from advgan.config.resolve import resolve
from advgan.data import ImageSet, load_data
from advgan.gan.state import State, start
from advgan.gan.training import train
from advgan.machine.recorder import PRACTICE
from advgan.sampling.stored import save_gan
from advgan.storage.checkpoints import load_checkpoint
from evaluation.jobs.train.config import TrainConfig

POINTS = ("mlp", "points")
UNRECORDED = ("progressive",)
"""Presets whose passes cannot be recorded."""


def images(channels: int = 1, size: int = 16) -> ImageSet:
    pixels = torch.randint(
        0, 256, (40, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return ImageSet(pixels, torch.arange(40) % 10, tuple("abcdefghij"), "noise")


def recipes(verb: str = "train") -> list[str]:
    configs = {name: resolve(TrainConfig, file=preset_file(verb, name)) for name in preset_names(verb)}
    return [name for name, config in configs.items() if not config.baseline]


def small(name: str, **more: Any) -> tuple[GanNetworks, GanTraining, ImageSet]:
    """A preset with few steps of few images and narrow networks, and images for it."""
    config = resolve(TrainConfig, file=preset_file("train", name))
    networks, training = config.networks, config.training
    data = load_data(config.data).train if networks.family in POINTS else images()
    if networks.family not in POINTS:
        networks = networks.model_copy(update={"width": 4})
    few = {"steps": PRACTICE + 2, "batch_size": 4 * networks.packing, "labelled": training.labelled and 20}
    return networks, training.model_copy(update=few | more), data


def begin(networks: GanNetworks, training: GanTraining, data: ImageSet) -> State:
    shape = {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}
    return start(networks, training, **shape, device="cuda")


def assert_same(one: State, other: State) -> None:
    for player in ("generator", "discriminator", "average"):
        mine, theirs = getattr(one, player).state_dict(), getattr(other, player).state_dict()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), f"{player}.{name}"


@pytest.mark.parametrize("name", recipes())
def test_a_preset_trains_recorded_as_it_does_directly(name: str, watch: Any) -> None:
    networks, training, data = small(name)
    direct, recorded = begin(networks, training, data), begin(networks, training, data)
    expected = list(train(direct, data, training.model_copy(update={"cuda_graphs": False})))
    with watch() as seen:
        assert list(train(recorded, data, training)) == expected
    assert_same(recorded, direct)
    assert (seen.replays == 0) == (name in UNRECORDED)
    assert {operator for operator, _ in seen.unordered} <= {"max_pool2d_with_indices_backward"}, seen.text()


def wait_for(images: Tensor) -> None:
    assert images.detach().sum().item() != 0


def test_a_pass_that_waits_is_not_recorded_and_leaves_no_trace(watch: Any) -> None:
    networks, training, data = small("sngan")
    direct, tried = begin(networks, training, data), begin(networks, training, data)
    expected = list(train(direct, data, training))
    tried.generator.register_forward_hook(lambda *passed: wait_for(passed[-1]))
    with watch() as seen:
        assert list(train(tried, data, training)) == expected
    assert_same(tried, direct)
    assert seen.replays == 0
    insisting = training.model_copy(update={"cuda_graphs": True, "steps": 2 * training.steps})
    with pytest.raises(ValueError, match=r"cuda_graphs true: .*capturing.* at test_device_training.py:\d+: .*item\(\)"):
        list(train(tried, data, insisting))


def test_layouts_of_bfloat16_are_nobodys_business(tmp_path: Path) -> None:
    networks, training, data = small("dcgan", precision="bfloat16")
    plain = start(
        networks, training, size=data.size, channels=data.channels, num_classes=data.num_classes, device="cpu"
    )
    state = begin(networks, training, data)
    weights = [each for each in state.discriminator.parameters() if each.ndim == 4 and min(each.shape[1:]) > 1]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert all(each.is_contiguous() for each in plain.discriminator.parameters())
    about = {"name": "noise", "digest": "0" * 12, "classes": list(data.classes), "size": 16, "channels": 1}
    for name, each in (("device", state), ("plain", plain)):
        save_gan(tmp_path / f"{name}.safetensors", each, networks, training, data=about)
    first, second = (load_checkpoint(tmp_path / f"{name}.safetensors").state for name in ("device", "plain"))
    for player in ("generator", "discriminator", "average"):
        for name, values in first[player].items():
            assert torch.equal(values, second[player][name])


def test_what_a_process_did_before_does_not_order_the_sums_of_penalties() -> None:
    networks, training, data = small("dcgan", r1=1.0, r2=1.0, loss="relativistic")
    states = [begin(networks, training, data) for _ in range(3)]
    for state in states:
        list(train(state, data, training))
        number = torch.ones((), device="cuda", requires_grad=True)
        for _ in range(500):  # the counter of another thread goes on
            torch.autograd.grad(number * 2, number, create_graph=True)
    for state in states[1:]:
        assert_same(state, states[0])


@pytest.mark.parametrize("network", ["mlp", "cnn", "resnet"])
def test_a_classifier_is_fitted_in_one_order(network: str, watch: Any) -> None:
    recipe = {"epochs": 1, "batch_size": 20, "augmentation": "shift-flip", "defense": {"name": "pgd", "steps": 2}}
    training, data = ClassifierTraining.model_validate(recipe), images()
    state = classifier_training.start(NetworkConfig(name=network, width=4), training, data, device="cuda")
    with watch() as seen:
        list(classifier_training.train(state, data, training))
    assert not {operator for operator, _ in seen.unordered} - {"max_pool2d_with_indices_backward"}, seen.text()


def test_a_run_with_recordings_is_trained_resumed_and_used(advgan: Any, watch: Any, tmp_path: Path) -> None:
    few = {"training.cuda_graphs": "true", "training.steps": 12, "training.batch_size": 8, "networks.width": 4}
    few |= {"log_every": 2, "evaluate_every": 6, "num_samples": 40}
    settings = [word for key, value in few.items() for word in ("--set", f"{key}={value}")]
    with watch() as seen:
        trained = advgan("train", "--preset", "small", "--data", "digits", *settings, "--out", "run")
    assert trained.code == 0, trained.words
    assert seen.replays
    first, run = load_checkpoint(tmp_path / "run/checkpoints/last.safetensors"), tmp_path / "run"
    log = (run / "log.jsonl").read_bytes()
    before = (run / "checkpoints/previous.safetensors").read_bytes()
    for name in ("last", "best"):  # names of one file, perhaps
        (run / f"checkpoints/{name}.safetensors").unlink()
        (run / f"checkpoints/{name}.safetensors").write_bytes(before)
    resumed = advgan("train", "--resume", "run")
    assert resumed.code == 0, resumed.words
    assert (run / "log.jsonl").read_bytes() == log
    again = load_checkpoint(run / "checkpoints/last.safetensors")
    assert repr((again.config, again.state)) == repr((first.config, first.state))
    for device in ("cuda", "cpu"):
        assert advgan("sample", "--ckpt", "run", "-n", "4", "--device", device, "--out", f"images-{device}").code == 0
        assert advgan("export", "--ckpt", "run", "--device", device, "--out", f"export-{device}").code == 0
    refused = advgan("train", "--preset", "small", "--data", "digits", *settings, "--device", "cpu")
    assert refused.code in (1, 2)
    assert "cuda_graphs true: --device cpu has no CUDA graphs" in refused.words
