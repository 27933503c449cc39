import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.training import State, start, train
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan, load_state, save_gan
from advgan.storage.checkpoints import save_checkpoint
from advgan.storage.seal import FIELD

CLASSES = ["ant", "bee", "cat"]
DATA: dict[str, Any] = {"name": "toy", "digest": "0123456789ab", "classes": CLASSES, "size": 12, "channels": 3}
NETWORKS = GanNetworks(family="dcgan", width=4, latent_dim=6, conditional=True)
TRAINING = GanTraining(steps=3, batch_size=8, average_decay=0.5)


def images() -> ImageSet:
    pixels = torch.randint(0, 256, (40, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(40) % 3, tuple(CLASSES))


def trained(networks: GanNetworks = NETWORKS, training: GanTraining = TRAINING) -> State:
    state = start(networks, training, size=12, channels=3, num_classes=3)
    for _ in train(state, images(), training):
        pass
    return state


def saved(path: Path, networks: GanNetworks = NETWORKS, training: GanTraining = TRAINING) -> State:
    state = trained(networks, training)
    save_gan(path, state, networks, training, data=DATA)
    return state


def rewrite(path: Path, *, resize: str | None = None, **config: Any) -> None:
    """Change the configuration of a checkpoint, or the shape of a tensor, and leave the rest, without its seal."""
    with safe_open(path, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != FIELD}
    held = json.loads(header["config"])
    for key, value in config.items():
        held[key] = {**held[key], **value} if value is not None else None
    tensors = load_file(path)
    if resize:
        assert resize in tensors
        tensors[resize] = torch.zeros(3)
    save_file(tensors, path, metadata={**header, "config": json.dumps(held)})


@pytest.mark.parametrize("family", ["mlp", "dcgan"])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("loss", ["hinge", "wasserstein"])
def test_a_loaded_gan_draws_the_same_bits_as_the_one_that_was_saved(
    tmp_path: Path, family: str, conditional: bool, loss: str
) -> None:
    networks = GanNetworks.model_validate(NETWORKS.model_dump() | {"family": family, "conditional": conditional})
    training = GanTraining.model_validate(TRAINING.model_dump() | {"loss": loss})
    state = saved(tmp_path / "gan.safetensors", networks, training)
    gan = load_gan(tmp_path / "gan.safetensors")
    assert torch.equal(sample(gan.generator, 9, seed=4), sample(state.average, 9, seed=4))
    assert not torch.equal(sample(gan.generator, 9, seed=4), sample(state.generator, 9, seed=4))
    labels = torch.arange(8) % 3
    signed = images().unit(slice(8)) * 2 - 1
    assert torch.equal(gan.discriminator(signed, labels), state.discriminator.eval()(signed, labels))
    assert gan.generator.num_classes == (3 if conditional else 0)


def test_a_gan_whose_training_was_recorded_is_read_and_trained_on_anywhere(tmp_path: Path) -> None:
    path, recorded = tmp_path / "gan.safetensors", TRAINING.model_copy(update={"cuda_graphs": True})
    state = trained()
    save_gan(path, state, NETWORKS, recorded, data=DATA)
    gan = load_gan(path)
    assert gan.training == recorded
    assert torch.equal(sample(gan.generator, 3, seed=4), sample(state.average, 3, seed=4))
    assert next(train(load_state(path), images(), TRAINING.model_copy(update={"steps": 4}))).step == 4


@pytest.mark.parametrize("value", [True, False])
def test_a_gan_from_before_auto_is_read(tmp_path: Path, value: bool) -> None:
    path = tmp_path / "gan.safetensors"
    saved(path)
    rewrite(path, training={"cuda_graphs": value})
    assert load_gan(path).game.training.cuda_graphs is value


def test_a_loaded_gan_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "gan.safetensors"
    saved(path)
    gan = load_gan(path)
    assert (gan.networks, gan.training, gan.step, gan.path) == (NETWORKS, TRAINING, 3, path)
    assert (gan.data_name, gan.data_digest, gan.classes) == ("toy", "0123456789ab", ("ant", "bee", "cat"))
    assert (gan.size, gan.channels) == (12, 3)
    assert load_gan(path).digest == gan.digest
    assert len(gan.digest) == 12


def test_a_loaded_gan_is_frozen_and_in_eval_mode(tmp_path: Path) -> None:
    saved(tmp_path / "gan.safetensors")
    gan = load_gan(tmp_path / "gan.safetensors")
    for network in (gan.generator, gan.discriminator):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())


def test_other_weights_have_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "gan.safetensors"
    state = saved(path)
    first = load_gan(path).digest
    with torch.no_grad():
        next(state.average.parameters()).add_(1e-3)
    save_gan(path, state, NETWORKS, TRAINING, data=DATA)
    assert load_gan(path).digest != first


def test_a_run_folder_means_its_best_checkpoint_else_its_last(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoints" / "last.safetensors")
    assert load_gan(tmp_path).path.name == "last.safetensors"
    saved(tmp_path / "checkpoints" / "best.safetensors")
    assert load_gan(tmp_path).path.name == "best.safetensors"


def test_more_than_a_checkpoint_needs_of_the_data_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "gan.safetensors"
    save_gan(path, trained(), NETWORKS, TRAINING, data={**DATA, "train": 1297, "folder": "/home/someone"})
    assert b"someone" not in path.read_bytes()


def test_a_state_read_back_can_be_trained_on(tmp_path: Path) -> None:
    """The bit-for-bit equality with an uninterrupted run is tested with the loop."""
    saved(tmp_path / "gan.safetensors")
    state = load_state(tmp_path / "gan.safetensors")
    assert state.step == 3
    longer = GanTraining.model_validate(TRAINING.model_dump() | {"steps": 5})
    assert [step.step for step in islice(train(state, images(), longer), 9)] == [4, 5]


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match=r".") as error:
        load_gan(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.safetensors") == f"no checkpoint at {tmp_path / 'gone.safetensors'}"


def test_a_run_folder_without_checkpoints_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"no checkpoint in {tmp_path} (looked for checkpoints/best.safetensors")


def test_a_classifier_is_no_gan(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    save_checkpoint(path, kind="classifier", config={}, state={})
    assert refusal(path) == f"{path} is a classifier checkpoint, a gan checkpoint is needed here"


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gan.safetensors"
    saved(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path).startswith(f"{path} is damaged or no advgan checkpoint")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": {"family": "stylegan"}}, "has a configuration unknown here (family:"),
        ({"networks": {"depth": 3}}, "has a configuration unknown here (depth:"),
        ({"training": {"steps": -1}}, "has a configuration unknown here (steps:"),
        ({"networks": {"width": 5}}, "holds weights that do not fit its own configuration"),
        ({"networks": {"conditional": False}}, "holds weights that do not fit its own configuration"),
        ({"data": {"channels": 1}}, "holds weights that do not fit its own configuration"),
        ({"data": None}, "lacks the configuration of a GAN"),
        ({"networks": None}, "has a configuration unknown here"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "gan.safetensors"
    saved(path)
    rewrite(path, **change)
    assert refusal(path).startswith(f"{path} {message}")


@pytest.mark.parametrize(
    "name",
    ["average.seed.0.weight", "discriminator.head.linear.weight", "generator_optimizer.0.exp_avg"],
)
def test_a_tensor_of_the_wrong_shape_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "gan.safetensors"
    saved(path)
    rewrite(path, resize=f"state.{name}")
    assert refusal(path) == f"{path} holds weights that do not fit its own configuration"
