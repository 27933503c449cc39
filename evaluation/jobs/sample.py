"""`advgan sample`: draw images from a trained generator, as files that other tools read."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from advgan.atomic import write_atomically
from advgan.config import Section
from advgan.generators import TrainedGan, load_gan
from advgan.pictures import to_picture
from advgan.ranges import to_bytes
from advgan.sampling import sample, sample_labels
from evaluation.jobs.eval import grid_columns
from evaluation.jobs.setup import Outcome, Setup, finish, now, versions
from evaluation.report.panels import ImagePanel, Picture
from evaluation.report.pictures import image_grid
from evaluation.report.results import Results

GRID = 100


class SampleConfig(Section):
    """What `advgan sample` draws."""

    checkpoint: str | None = None
    num_samples: int = Field(default=64, ge=1)
    label: str | None = None
    """Name of the only class to draw; None: all classes in turn."""
    batch_size: int = Field(default=256, ge=1)
    seed: int = Field(default=0, ge=0)


def plan(config: SampleConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    gan = _read(config, setup)
    return [f"{config.num_samples:,} images of {gan.size}x{gan.size} from {gan.path} ({gan.digest})"]


def run(config: SampleConfig, setup: Setup) -> Outcome:
    """Write images/<class>/<index>.png, an .npz in the form of guided-diffusion's evaluator, and a grid."""
    gan = _read(config, setup)
    indices = torch.arange(config.num_samples)
    labels = _labels(config, gan, indices)
    images = sample(gan.generator, indices, seed=config.seed, labels=labels, batch_size=config.batch_size, device="cpu")
    run = setup.create_run("sample", gan.data_name, config)
    names = None if labels is None else [gan.classes[label] for label in labels]
    write_images(run.folder / "images", images, names)
    _write_arrays(run.folder, to_bytes(images), labels)
    write_atomically(run.samples / "grid.png", image_grid(images[:GRID], columns=grid_columns(len(gan.classes))))
    results = Results(
        command="sample",
        title=f"Samples of a GAN of {gan.data_name}",
        run=str(run.folder),
        created=now(),
        verdict=f"{len(images):,} images drawn with seed {config.seed}",
        header=(("generator", f"{gan.path} ({gan.digest})"), ("images", f"{len(images):,}, seed {config.seed}")),
        panels=(ImagePanel(title="Samples", items=(Picture("samples/grid.png"),), layout="wide"),),
        versions=versions(),
    )
    return finish(run, results)


def write_images(folder: Path, images: Tensor, class_names: list[str] | None) -> None:
    """Write PNGs, in class folders where there are classes; the folder appears whole or not at all."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        for number, pixels in enumerate(to_bytes(images)):
            place = temporary / class_names[number] if class_names else temporary
            place.mkdir(parents=True, exist_ok=True)
            to_picture(pixels).save(place / f"{number:06d}.png")
        if folder.is_dir():
            raise ValueError(f"{folder} exists already: choose another --out")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrays(folder: Path, pixels: Tensor, labels: Tensor | None) -> None:
    """`arr_0` images NHWC uint8 and `arr_1` labels, under the customary name samples_<N>x<H>x<W>x<C>.npz."""
    images = pixels.permute(0, 2, 3, 1).numpy()
    file = folder / f"samples_{'x'.join(map(str, images.shape))}.npz"
    if labels is None:
        np.savez_compressed(file, arr_0=images)
    else:
        np.savez_compressed(file, arr_0=images, arr_1=labels.numpy())


def _read(config: SampleConfig, setup: Setup) -> TrainedGan:
    if config.checkpoint is None:
        raise ValueError("nothing to sample from: name the run of a GAN with --ckpt (advgan ls runs lists them)")
    gan = load_gan(Path(config.checkpoint), device=setup.torch_device())
    _labels(config, gan, torch.arange(1))
    return gan


def _labels(config: SampleConfig, gan: TrainedGan, indices: Tensor) -> Tensor | None:
    if config.label is None:
        return sample_labels(gan.generator, indices)
    if gan.generator.num_classes == 0:
        raise ValueError(f"--label {config.label}: this generator is unconditional, it draws no chosen class")
    if config.label not in gan.classes:
        raise ValueError(f"--label {config.label}: no such class; this generator knows {', '.join(gan.classes)}")
    return torch.full_like(indices, gan.classes.index(config.label))
