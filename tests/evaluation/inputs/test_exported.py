"""Exported generators, ours and others', as sources of images."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.data import Data, ImageSet
from advgan.models.latents import LatentSpace
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan
from evaluation.inputs import Source, open_source
from evaluation.jobs.export.job import ExportConfig, run
from evaluation.jobs.setup import Setup

WriteGan = Callable[..., Path]


def opened(spec: object, **options: object) -> Source:
    source = open_source(spec, **options)  # type: ignore[arg-type]
    assert isinstance(source, Source)
    return source


def all_of(source: Source) -> Tensor:
    return torch.cat(list(source.batches(torch.arange(source.count), 5)))


@pytest.mark.parametrize(
    ("kind", "conditional"),
    [
        ("safetensors", True),
        ("pt2", True),
        pytest.param("pt2", False, marks=pytest.mark.slow),
        pytest.param("onnx", False, marks=pytest.mark.slow),
        pytest.param("onnx", True, marks=pytest.mark.slow),
    ],
)
def test_an_export_draws_what_the_checkpoint_draws(
    kind: str, conditional: bool, tmp_path: Path, write_gan: WriteGan
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    codes = {} if conditional else {"categorical": 3, "continuous": 1}
    path = write_gan(tmp_path, "dcgan", conditional=conditional, latent_kind="uniform", **codes)
    outcome = run(ExportConfig(checkpoint=str(path), format=kind), Setup(device="cpu", out=tmp_path / "out"))
    assert outcome.folder is not None
    gan = load_gan(path)
    for spec in (outcome.folder, outcome.folder / f"model.{kind}"):
        source = opened(spec, num_samples=7, seed=5)
        torch.testing.assert_close(all_of(source), sample(gan.generator, 7, seed=5), atol=1e-4, rtol=0)
        assert source.digest == gan.digest
        assert source.classes == (gan.classes if conditional else None)
        assert (source.labels is not None) == conditional


class Foreign(nn.Module):
    """Latents, perhaps (N, D, 1, 1), to signed images or bytes, as other people's generators."""

    def __init__(self, *, as_bytes: bool = False) -> None:
        super().__init__()
        self.linear, self.as_bytes = nn.Linear(3, 48), as_bytes

    def forward(self, latents: Tensor) -> Tensor:
        signed = self.linear(latents.flatten(1)).tanh().view(-1, 3, 4, 4)
        return ((signed + 1) * 127.5).round().to(torch.uint8) if self.as_bytes else signed


def export(module: nn.Module, example: tuple[Tensor, ...], file: Path, *, fixed: bool = False) -> Path:
    shapes = None if fixed else tuple({0: torch.export.Dim("batch")} for _ in example)
    torch.export.save(torch.export.export(module.eval(), example, dynamic_shapes=shapes, strict=False), file)
    return file


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1)])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_foreign_program_is_fed_normal_latents(
    shape: tuple[int, ...], fixed: bool, as_bytes: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = Foreign(as_bytes=as_bytes)
    source = opened(export(module, (torch.randn(4, *shape),), tmp_path / "x.pt2", fixed=fixed), num_samples=7, seed=2)
    with torch.no_grad():
        raw = module(LatentSpace(3).draw(2, torch.arange(7)))
    expected = raw if as_bytes else (raw + 1) / 2
    torch.testing.assert_close(all_of(source), expected, atol=1 if as_bytes else 1e-6, rtol=0)
    assert source.protocol == f"3 normal latents by index, seed 2; {'bytes' if as_bytes else 'signed, in [-1, 1]'}"


class Labelled(nn.Module):
    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return (latents[:, :1] * 0 + labels[:, None] / 4).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clamp(0, 1)


def test_a_foreign_conditional_program_needs_to_know_its_classes(tmp_path: Path) -> None:
    file = export(Labelled(), (torch.randn(4, 3), torch.arange(4)), tmp_path / "x.pt2")
    with pytest.raises(ValueError, match=r"x.pt2 takes labels, of an unknown number of classes: give the --data"):
        open_source(file, num_samples=6)
    part = ImageSet(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.arange(3), ("a", "b", "c"), "toy")
    source = opened(file, num_samples=6, data=Data("toy", part, part, part))
    assert source.classes == ("a", "b", "c")
    assert source.labels is not None
    assert all_of(source)[:, 0, 0, 0].tolist() == [label / 4 for label in source.labels.tolist()]


def test_latents_of_others_can_be_said_in_a_config(tmp_path: Path) -> None:
    module = Foreign()
    file = export(module, (torch.randn(4, 3),), tmp_path / "x.pt2")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"kind": "generator", "latents": {"noise_dim": 3, "kind": "sphere"}}))
    with torch.no_grad():
        raw = module(LatentSpace(3, "sphere").draw(0, torch.arange(4)))
    torch.testing.assert_close(all_of(opened(file, num_samples=4)), (raw + 1) / 2, atol=1e-6, rtol=0)
    for latents, words in (({"noise_dim": 4}, "takes 3 latents, its config.json says 4"), ({"a": 1}, "unknown here")):
        config.write_text(json.dumps({"kind": "generator", "latents": latents}))
        with pytest.raises(ValueError, match=words):
            open_source(file, num_samples=4)


def test_a_classifier_is_no_generator(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    file = export(module, (torch.rand(4, 1, 8, 8),), tmp_path / "x.pt2")
    with pytest.raises(ValueError, match="takes images, so it is no generator"):
        open_source(file, num_samples=4)


def test_a_foreign_onnx_generator_of_a_fixed_batch(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, numpy_helper, floats = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    weights = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    shape = torch.tensor([4, 1, 4, 4])
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["z", "w"], ["h"]),
            helper.make_node("Sigmoid", ["h"], ["u"]),
            helper.make_node("Reshape", ["u", "s"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("z", floats, [4, 3])],
        [helper.make_tensor_value_info("y", floats, [4, 1, 4, 4])],
        [numpy_helper.from_array(each.numpy(), name) for name, each in (("w", weights), ("s", shape))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "x.onnx")
    source = opened(tmp_path / "x.onnx", num_samples=7, seed=1)
    expected = (LatentSpace(3).draw(1, torch.arange(7)) @ weights).sigmoid().view(-1, 1, 4, 4)
    torch.testing.assert_close(all_of(source), expected, atol=1e-6, rtol=0)
