"""`advgan export`: a trained network for other tools: safetensors with its configuration, torch.export, or ONNX."""

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from advgan.atomic import replacing, write_atomically
from advgan.checkpoints import find_checkpoint, load_checkpoint
from advgan.classifiers import load_trained
from advgan.config import Section
from advgan.generators import load_gan
from advgan.ranges import from_signed
from attacks import Classifier
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.report.results import Results


class ExportConfig(Section):
    """What `advgan export` writes, and how."""

    checkpoint: str | None = None
    format: Literal["safetensors", "pt2", "onnx"] = "safetensors"
    seed: int = 0


class ExportedGenerator(nn.Module):
    """Latents (and labels) to images in [0, 1]: what a user of the file expects, rather than signed images."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = from_signed(self.generator(latents, labels))
        return images


class ExportedClassifier(nn.Module):
    """Images in [0, 1] to logits, as `Classifier` computes them, without its counting and checking."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.get_buffer("mean")) / self.get_buffer("std"))
        return logits


class _Exportable:
    """A module in eval mode on the CPU, an example of its input, and a description for config.json."""

    def __init__(self, module: nn.Module, example: tuple[Tensor, ...], names: list[str], about: dict[str, Any]) -> None:
        self.module, self.example, self.names, self.about = module.eval(), example, names, about


def plan(config: ExportConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    found = _read(config)
    return [f"{found.about['kind']} {found.about['digest']} as {config.format}"]


def run(config: ExportConfig, setup: Setup) -> Outcome:
    """Write the files into a run folder; read the exported file back and hold it against the original."""
    found = _read(config)
    writer = {"safetensors": _write_safetensors, "pt2": _write_program, "onnx": _write_onnx}[config.format]
    if config.format == "onnx":
        _need_onnx()
    run = setup.create_run("export", f"{found.about['kind']}-{config.format}", config)
    file = writer(found, run.folder)
    about = {**found.about, "format": config.format, "file": file.name}
    write_atomically(run.folder / "config.json", json.dumps(about, indent=2) + "\n")
    log.info("wrote %s", file)
    results = Results(
        command="export",
        title=f"{found.about['kind']} as {config.format}",
        run=str(run.folder),
        created=now(),
        verdict=f"{file.name}, {file.stat().st_size:,} bytes",
        header=tuple((key, str(value)) for key, value in about.items()),
        versions=versions(),
    )
    return finish(run, results)


def _read(config: ExportConfig) -> _Exportable:
    if config.checkpoint is None:
        raise ValueError("nothing to export: name a run or a checkpoint with --ckpt (advgan ls runs lists them)")
    path = find_checkpoint(Path(config.checkpoint))
    return _generator(path) if load_checkpoint(path).kind == "gan" else _classifier(path)


def _generator(path: Path) -> _Exportable:
    gan = load_gan(path)
    latents = torch.zeros(2, gan.generator.space.dim)
    conditional = gan.generator.num_classes > 0
    example = (latents, torch.zeros(2, dtype=torch.int64)) if conditional else (latents,)
    about = {
        "kind": "generator",
        "digest": gan.digest,
        "size": gan.size,
        "channels": gan.channels,
        "classes": list(gan.classes) if conditional else [],
        "latents": asdict(gan.generator.space),
        "output": "images in [0, 1], NCHW",
        "networks": gan.networks.model_dump(mode="json"),
    }
    names = ["latents", "labels"][: len(example)]
    return _Exportable(ExportedGenerator(gan.generator), example, names, about)  # type: ignore[arg-type]


def _classifier(path: Path) -> _Exportable:
    classifier, info = load_trained(path)
    about = {
        "kind": "classifier",
        "digest": info.digest,
        "size": info.size,
        "channels": info.channels,
        "classes": list(info.classes),
        "input": "images in [0, 1], NCHW; normalised inside",
        "output": "logits",
        "network": info.network.model_dump(mode="json"),
    }
    example = torch.zeros(2, info.channels, info.size, info.size)
    return _Exportable(ExportedClassifier(classifier), (example,), ["images"], about)


def _write_safetensors(found: _Exportable, folder: Path) -> Path:
    file = folder / "model.safetensors"
    tensors = {name: tensor.contiguous().clone() for name, tensor in found.module.state_dict().items()}
    with replacing(file) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    return file


def _program(found: _Exportable) -> torch.export.ExportedProgram:
    shapes = tuple({0: torch.export.Dim("batch")} for _ in found.example)
    with torch.no_grad():
        return torch.export.export(found.module, found.example, dynamic_shapes=shapes, strict=False)


def _write_program(found: _Exportable, folder: Path) -> Path:
    file = folder / "model.pt2"
    temporary = folder / ".model.tmp.pt2"
    torch.export.save(_program(found), temporary)
    temporary.replace(file)
    module = torch.export.load(file).module()
    _hold_against(found, lambda inputs: module(*inputs), file)
    return file


def _write_onnx(found: _Exportable, folder: Path) -> Path:
    import onnxruntime

    file = folder / "model.onnx"
    temporary = folder / ".model.tmp.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            found.module,
            found.example,
            temporary,
            input_names=found.names,
            output_names=["images" if found.about["kind"] == "generator" else "logits"],
            dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in found.example),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    shutil.move(temporary, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def call(inputs: tuple[Tensor, ...]) -> Tensor:
        named = {name: tensor.numpy() for name, tensor in zip(found.names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, named)[0])

    _hold_against(found, call, file)
    return file


def _hold_against(found: _Exportable, call: Callable[[tuple[Tensor, ...]], Tensor], file: Path) -> None:
    """Refuse a file that does not compute what the network does, at another batch size than it was traced with."""
    inputs = tuple(torch.cat([tensor, tensor[:1]]) for tensor in found.example)
    with torch.no_grad():
        wanted = found.module(*inputs)
        error = float((call(inputs) - wanted).abs().max())
    if not error < 1e-4:
        file.unlink()
        raise ValueError(f"the exported network differs from the original by {error:.2g}: nothing was kept")


def _need_onnx() -> None:
    try:
        import onnx
        import onnxruntime
        import onnxscript

        _ = (onnx, onnxruntime, onnxscript)
    except ImportError as error:
        raise ValueError(f"--format onnx needs {error.name}: pip install 'advgan[onnx]'") from None
