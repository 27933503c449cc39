"""Exported files against the networks that they were made of, over every family of GANs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from advgan.models.gans.families import GANS
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import draw, sample
from advgan.sampling.exported import load_exported
from advgan.sampling.stored import load_gan
from evaluation.jobs.export.job import ExportConfig, run
from evaluation.jobs.setup import Setup

WriteGan = Callable[..., Path]
FAMILIES = list(GANS)


def export(path: Path, kind: str, out: Path) -> Path:
    outcome = run(ExportConfig(checkpoint=str(path), format=kind), Setup(device="cpu", out=out))
    assert outcome is not None
    assert outcome.folder is not None
    return outcome.folder


def options_of(family: str, conditional: bool) -> dict[str, object]:
    codes = {"categorical": 3, "continuous": 1} if "categorical" in GANS[family].numbers and not conditional else {}
    return {"conditional": conditional, **codes}


def feeds(path: Path, count: int) -> tuple[torch.Tensor, ...]:
    """What `sample` gives the generator for its first images."""
    generator = load_gan(path).generator
    indices = torch.arange(count)
    labels = sample_labels(generator, indices)
    latents = draw(generator, indices)
    return (latents,) if labels is None else (latents, labels)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_configuration_make_the_same_generator(
    family: str, conditional: bool, tmp_path: Path, write_gan: WriteGan
) -> None:
    path = write_gan(tmp_path, family, **options_of(family, conditional))
    generator = load_exported(export(path, "safetensors", tmp_path / "out"))
    assert torch.equal(sample(generator, 5, seed=3), sample(load_gan(path).generator, 5, seed=3))
    assert generator.space == load_gan(path).generator.space
    assert not generator.training


@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_draws_the_same_images_at_any_batch_size(family: str, tmp_path: Path, write_gan: WriteGan) -> None:
    check_program(write_gan(tmp_path, family, **options_of(family, False)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_takes_labels(family: str, tmp_path: Path, write_gan: WriteGan) -> None:
    check_program(write_gan(tmp_path, family, conditional=True), tmp_path)


def check_program(path: Path, tmp_path: Path) -> None:
    program = torch.export.load(export(path, "pt2", tmp_path / "out") / "model.pt2").module()
    whole = sample(load_gan(path).generator, 7)
    for count in (1, 7):
        with torch.no_grad():
            torch.testing.assert_close(program(*feeds(path, count)), whole[:count], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("conditional", [False, True])
def test_onnx_draws_the_same_images_at_any_batch_size(
    family: str, conditional: bool, tmp_path: Path, write_gan: WriteGan
) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path = write_gan(tmp_path, family, **options_of(family, conditional))
    folder = export(path, "onnx", tmp_path / "out")
    assert sorted(file.name for file in folder.glob("model*")) == ["model.onnx"], "weights lie in a second file"
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    whole = sample(load_gan(path).generator, 7)
    for count in (1, 7):
        named = zip(("latents", "labels"), feeds(path, count), strict=False)
        images = session.run(None, {name: tensor.numpy() for name, tensor in named})[0]
        np.testing.assert_allclose(images, whole[:count].numpy(), atol=1e-4)


def test_the_configuration_says_what_the_file_takes_and_gives(tmp_path: Path, write_gan: WriteGan) -> None:
    path = write_gan(tmp_path, "dcgan", categorical=3, latent_kind="uniform")
    about = json.loads((export(path, "safetensors", tmp_path / "out") / "config.json").read_text())
    assert about["latents"] == {"noise_dim": 6, "kind": "uniform", "categorical": 3, "continuous": 0}
    assert (about["size"], about["channels"], about["classes"]) == (8, 3, [])
    assert (about["digest"], about["data"]) == (load_gan(path).digest, "toy")


@pytest.mark.parametrize("damage", ["missing", "no json", "classifier", "other weights"])
def test_a_folder_that_is_no_exported_generator_is_refused_in_one_line(
    damage: str, tmp_path: Path, write_gan: WriteGan
) -> None:
    folder = export(write_gan(tmp_path, "mlp"), "safetensors", tmp_path / "out")
    (folder / "contents.json").unlink()  # as an export of before, or somebody else's, has none
    config = folder / "config.json"
    about = json.loads(config.read_text())
    if damage == "missing":
        (folder / "model.safetensors").unlink()
    elif damage == "no json":
        config.write_text("{")
    elif damage == "classifier":
        config.write_text(json.dumps({**about, "kind": "classifier"}))
    else:
        config.write_text(json.dumps({**about, "size": 9}))
    with pytest.raises(ValueError, match=r"exported generator|does not describe|does not fit") as caught:
        load_exported(folder)
    assert len(str(caught.value).splitlines()) == 1
