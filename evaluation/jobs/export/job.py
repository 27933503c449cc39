"""`advgan export`: write a trained network for other tools, read it back and compare; upload it if asked to."""

import json
from pathlib import Path
from typing import cast

import torch

from advgan.models.interface import Generator
from advgan.sampling.classes import in_turn
from advgan.sampling.drawing import sample
from advgan.storage.atomic import write_atomically
from evaluation.jobs.export.config import ExportConfig
from evaluation.jobs.export.formats import FORMATS, check_format
from evaluation.jobs.export.hub import CARD, model_card, push, scores_of
from evaluation.jobs.export.networks import Exportable, ExportedGenerator, read_exportable
from evaluation.jobs.export.paths import check_shared, without_paths
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.report.pictures import image_grid
from evaluation.report.results import Results

__all__ = ["ExportConfig", "plan", "run"]

PICTURE = "samples/grid.png"


def plan(config: ExportConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    found = _read(config)
    pushed = [f"then pushed to https://huggingface.co/{config.push_to_hub}"] if config.push_to_hub else []
    return [f"{found.about['kind']} {found.about['digest']} as {config.format}", *pushed]


def run(config: ExportConfig, setup: Setup) -> Outcome:
    """Write the files into a run folder; read the exported file back and compare it with the original."""
    found = _read(config)
    run = setup.create_run("export", f"{found.about['kind']}-{config.format}", config)
    file = _written(config, found, run.folder)
    about = {**without_paths(found.about), "format": config.format, "file": file.name}
    write_atomically(run.folder / "config.json", json.dumps(about, indent=2) + "\n")
    log.info("wrote %s", file)
    if "fidelity" in about:
        log.info("score it: %s", about["fidelity"])
    results = Results(
        command="export",
        title=f"{found.about['kind']} as {config.format}",
        run=str(run.folder),
        created=now(),
        verdict=f"{file.name}, {file.stat().st_size:,} bytes",
        header=tuple((key, str(value)) for key, value in about.items()),
        versions=versions(),
    )
    outcome = finish(run, results, made=[file, run.folder / "config.json"])
    if config.push_to_hub:
        files = _describe(found, file, run.folder, config.push_to_hub)
        check_shared(run.folder / name for name in files)
        log.info("pushed: %s", push(run.folder, files, repository=config.push_to_hub, private=config.private))
    return outcome


def _written(config: ExportConfig, found: Exportable, folder: Path) -> Path:
    """Write the file; any error while tracing an external generator becomes a ValueError with a one-line message."""
    try:
        return FORMATS[config.format](found, folder)
    except (ValueError, OSError):
        raise
    except Exception as error:
        if "foreign" not in found.about:
            raise
        words = " ".join(str(error).split())[:160]
        raise ValueError(
            f"{config.checkpoint} cannot be written as {config.format} ({words}): its forward must not depend "
            "on values, nor on how many latents there are"
        ) from error


def _read(config: ExportConfig) -> Exportable:
    if config.checkpoint is None:
        raise ValueError("nothing to export: name a run or a checkpoint with --ckpt (advgan ls runs lists them)")
    found = read_exportable(config.checkpoint)
    check_format(config.format, found)
    return found


def _describe(found: Exportable, file: Path, folder: Path, repository: str) -> list[str]:
    """Write the model card, with a sample grid of a generator; return the names of the files to upload."""
    picture = PICTURE if found.about["kind"] == "generator" else ""
    if picture:
        generator = cast(Generator, cast(ExportedGenerator, found.module).generator)
        shown = sample(generator, 64, labels=in_turn(generator, torch.arange(64)))
        write_atomically(folder / picture, image_grid(shown))
    card = model_card(found, file, scores_of(found.path), repository=repository, picture=picture)
    write_atomically(folder / CARD, card)
    return [CARD, "config.json", file.name, *([picture] if picture else [])]
