"""`advgan sample`: draw images from a trained generator, as files that other tools read."""

import torch

from advgan.machine.precision import true_float32
from advgan.sampling.drawing import draw, sample
from advgan.sampling.stored import TrainedGan
from evaluation.inputs.foreign import generator_of
from evaluation.jobs.looking_threads import drawing_threads
from evaluation.jobs.sample.arithmetic import arithmetic, check_arithmetic
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.sample.files import Drawing, sample_names, write_drawing
from evaluation.jobs.sample.labels import chosen_labels
from evaluation.jobs.sample.rejection import check_rejection, rejections
from evaluation.jobs.sample.tables import class_grid, interpolations, traversals
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.report.panels import ImagePanel, Picture
from evaluation.report.pictures import grid_columns
from evaluation.report.results import Headline, Results

__all__ = ["SampleConfig", "plan", "run"]
IMAGES = 64


def plan(config: SampleConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    gan = _read(config, setup)
    return [f"{_what(config)} of {gan.size}x{gan.size} from {gan.path} ({gan.digest})"]


@true_float32()
def run(config: SampleConfig, setup: Setup) -> Outcome:
    """Write images/<class>/<index>.png, an .npz in the form of guided-diffusion's evaluator, and a grid."""
    gan = _read(config, setup)
    with drawing_threads(gan, len(config.chosen(IMAGES)), config.batch_size, device=setup.torch_device()):
        return _written(config, setup, gan)


def _written(config: SampleConfig, setup: Setup, gan: TrainedGan) -> Outcome:
    drawing = _draw(config, gan, setup)
    run = setup.create_run("sample", gan.data_name, config)
    made = write_drawing(run.folder, drawing)
    log.info("%s", drawing.verdict)
    picture = ImagePanel(title="Samples", items=(Picture("samples/grid.png"),), layout="wide", caption=drawing.caption)
    truncation = () if config.truncation is None else (("truncation", f"{config.truncation:g}"),)
    results = Results(
        command="sample",
        title=f"Samples of a GAN of {gan.data_name}",
        run=str(run.folder),
        created=now(),
        verdict=drawing.verdict,
        header=(
            ("generator", f"{gan.path} ({gan.digest})"),
            ("images", f"{len(drawing.images):,}, seed {config.seed}"),
            *truncation,
            *drawing.header,
        ),
        headline=tuple(Headline(score.metric, score) for score in drawing.scores),
        scores=drawing.scores,
        findings=drawing.findings,
        panels=(picture, *drawing.panels),
        versions=versions(),
    )
    return finish(run, results, made=made)


def _draw(config: SampleConfig, gan: TrainedGan, setup: Setup) -> Drawing:
    if config.arithmetic is not None:
        return arithmetic(config, gan, setup)
    if config.interpolate:
        return interpolations(config, gan)
    if config.traverse is not None:
        return traversals(config, gan)
    if config.grid == "class":
        return class_grid(config, gan)
    return rejections(config, gan) if config.reject else _images(config, gan)


def _images(config: SampleConfig, gan: TrainedGan) -> Drawing:
    indices = config.chosen(IMAGES)
    labels = chosen_labels(config, gan, indices)
    options = {"seed": config.seed, "batch_size": config.batch_size}
    return Drawing(
        images=sample(gan.generator, indices, labels=labels, truncation=config.truncation, device="cpu", **options),
        names=sample_names(indices, labels, gan.classes),
        labels=labels,
        columns=grid_columns(len(gan.classes)),
        verdict=f"{len(indices):,} images drawn with seed {config.seed}",
    )


def _read(config: SampleConfig, setup: Setup) -> TrainedGan:
    """The GAN, with everything checked that needs no image drawn."""
    if config.checkpoint is None:
        raise ValueError("nothing to sample from: name the run of a GAN with --ckpt (advgan ls runs lists them)")
    gan = generator_of(config.checkpoint, device=setup.torch_device())
    chosen_labels(config, gan, torch.arange(1))
    draw(gan.generator, torch.arange(1), truncation=config.truncation)
    if config.reject:
        check_rejection(gan)
    if config.arithmetic is not None:
        check_arithmetic(config, gan)
    return gan


def _what(config: SampleConfig) -> str:
    kinds = {
        "interpolations": config.interpolate,
        "traversals": config.traverse,
        "latent arithmetic": config.arithmetic,
        "a grid of classes": config.grid == "class",
        "images that the discriminator lets pass": config.reject,
    }
    return next((words for words, asked in kinds.items() if asked), f"{len(config.chosen(IMAGES)):,} images")
