"""`advgan train`: train a GAN, watch it while it trains, keep its best checkpoint, score it at the end."""

import math
from functools import partial
from typing import Any

import torch
from pydantic import Field, model_validator

from advgan.atomic import write_atomically
from advgan.config import DataConfig, GanNetworks, GanTraining, Section
from advgan.data import Data, batches_per_epoch, load_data
from advgan.generators import load_gan, load_state, save_gan
from advgan.losses import LOSSES
from advgan.runs import Run
from advgan.training import State, Step, start, train
from evaluation.jobs.eval import Reference, evaluate_gan, generator_panels
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.monitor import look
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, progress, threads_for, versions
from evaluation.report.panels import CurvePanel, ImagePanel, Line, Panel, Picture, Series
from evaluation.report.results import Headline, Results
from evaluation.report.text import format_score

STRIP = 6  # sample grids of the report, spread evenly over training
AVERAGED = (
    "discriminator_loss",
    "generator_loss",
    "penalty",
    "real_probability",
    "fake_probability",
    "real_accuracy",
    "fake_accuracy",
)


class TrainConfig(Section):
    """What `advgan train` trains, on what and how, and how often it looks."""

    data: DataConfig = DataConfig()
    networks: GanNetworks = GanNetworks()
    training: GanTraining = GanTraining()
    features: str = "auto"
    """What sees the images for the scores: `auto` (a classifier of this data), `inception`, or a classifier's run."""
    num_samples: int = Field(default=1000, ge=2)
    """Generated images for each evaluation."""
    log_every: int = Field(default=50, ge=1)
    """Steps."""
    evaluate_every: int = Field(default=500, ge=1)
    """Steps; each evaluation also writes a sample grid and a checkpoint."""

    @model_validator(mode="after")
    def _evaluations_end_a_log_row(self) -> "TrainConfig":
        if self.evaluate_every % self.log_every:
            raise ValueError(
                f"evaluate_every {self.evaluate_every} must be a multiple of log_every {self.log_every}, "
                "or a resumed run would log other means"
            )
        return self


def plan(config: TrainConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    data = load_data(config.data, workers=setup.workers)
    training = config.training
    used = training.steps * training.discriminator_steps
    epochs = used / batches_per_epoch(data.train, training.batch_size)
    looks = math.ceil(training.steps / config.evaluate_every)
    steps = f"{training.steps:,} generator steps, {epochs:.1f} epochs, on {setup.torch_device()}"
    return [data.summary(), steps, f"{looks} evaluations with {config.num_samples:,} images each"]


def run(config: TrainConfig, setup: Setup) -> Outcome:
    """Train, evaluate on the way, score the best checkpoint; go on exactly where an earlier run stopped."""
    device = setup.torch_device()
    data = load_data(config.data, workers=setup.workers)
    log.info("%s", data.summary())
    _check_batch(config, data)
    extractor = choose_extractor(config.features, data, setup)
    reference = Reference(data, extractor, seed=config.training.seed)
    state, run = _begin(config, setup, data, device)
    try:
        with threads_for(data.size):
            _train(run, state, config, reference)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Every evaluated step is kept: advgan train --resume {run.folder} goes on.") from None
    best = load_gan(run.best, device=device)
    scored = evaluate_gan(best, reference, num_samples=config.num_samples, seed=config.training.seed)
    results = Results(
        command="train",
        title=f"{config.networks.family} GAN on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=", ".join(f"{score.metric} {format_score(score)}" for score in scored.headline),
        header=(
            ("data", data.summary()),
            ("generator", scored.subject),
            ("extractor", f"{extractor.name} {extractor.digest}"),
            ("recipe", _recipe(config)),
        ),
        headline=tuple(Headline(score.metric, score, score.setting) for score in scored.headline),
        scores=tuple(scored.scores),
        findings=tuple(scored.findings),
        panels=(*generator_panels(run.folder, scored, data), *_curves(run, config), _strip(run)),
        versions=versions(),
    )
    return finish(run, results, summary=scored.headline)


def _begin(config: TrainConfig, setup: Setup, data: Data, device: torch.device) -> tuple[State, Run]:
    """A new run, or an old one as its last checkpoint left it."""
    if setup.resume and setup.resume.last.is_file():
        state = load_state(setup.resume.last, device=device)
        log.info("resuming %s after step %d", setup.resume.folder, state.step)
    else:
        shape = {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}
        state = start(config.networks, config.training, **shape, device=device)
    run = setup.resume or setup.create_run("train", f"{data.name}-{config.networks.family}", config)
    run.rewind_log(state.step)
    return state, run


def _check_batch(config: TrainConfig, data: Data) -> None:
    if len(data.train) < config.training.batch_size:
        raise ValueError(
            f"training.batch_size {config.training.batch_size} exceeds the {len(data.train)} training images of "
            f"{data.name}: use --batch-size {len(data.train)} or less"
        )


def _train(run: Run, state: State, config: TrainConfig, reference: Reference) -> None:
    training, data = config.training, reference.data
    best = min((row["distance"] for row in run.rows() if "distance" in row), default=math.inf)
    keep = partial(save_gan, state=state, networks=config.networks, training=training, data=data.describe())
    steps: list[Step] = []
    with progress(training.steps, "train", initial=state.step) as bar:
        for step in train(state, data.train, training):
            steps.append(step)
            bar.update()
            last = step.step == training.steps
            if step.step % config.log_every and not last:
                continue

            # Log: the only place where the host waits for the device.
            row = _mean_row(steps)
            steps.clear()
            if step.step % config.evaluate_every and not last:
                run.log(row)
                continue

            # Evaluate: score, draw, keep.
            seen = look(state, reference, num_samples=config.num_samples, seed=training.seed)
            row |= seen.row
            write_atomically(run.samples / f"step-{step.step:07d}.png", seen.grid)
            if row["distance"] <= best:
                best = row["distance"]
                keep(run.best)
            run.log(row)
            keep(run.last)
            bar.set_postfix(distance=f"{row['distance']:.3g}", modes=row["modes_covered"])


def _mean_row(steps: list[Step]) -> dict[str, Any]:
    """Means since the last row; raises ValueError where one is no longer finite, since training cannot recover."""
    values = torch.stack([torch.stack([getattr(step, name).double() for name in AVERAGED]) for step in steps])
    means = dict(zip(AVERAGED, values.mean(dim=0).tolist(), strict=True))
    row = {"step": steps[-1].step, "images_seen": steps[-1].images_seen, **means}
    broken = [name for name, value in means.items() if not math.isfinite(value)]
    if broken:
        raise ValueError(
            f"training diverged before step {steps[-1].step} ({broken[0]} is {means[broken[0]]}): lower the learning "
            "rates, or add training.gradient_penalty; the checkpoints before are kept"
        )
    return row


def _recipe(config: TrainConfig) -> str:
    training = config.training
    kind = "class-conditional" if config.networks.conditional else "unconditional"
    penalty = f", gradient penalty {training.penalty_weight:g}" if training.penalty_weight else ""
    steps = f"{training.steps:,} steps of {training.batch_size} images"
    turns = f"{training.discriminator_steps} discriminator step(s) each"
    return f"{kind}, {training.loss} loss{penalty}, {steps}, {turns}, seed {training.seed}"


def _curves(run: Run, config: TrainConfig) -> list[Panel]:
    rows = run.rows()
    looks = [row for row in rows if "distance" in row]
    loss = LOSSES[config.training.loss]

    def series(name: str, key: str, of: list[dict[str, Any]] = rows) -> Series:
        return Series(name=name, x=tuple(float(row["step"]) for row in of), y=tuple(row[key] for row in of))

    return [
        CurvePanel(
            title="Losses",
            section="Training",
            caption="Dashed: the value of each loss where the discriminator cannot tell real from generated.",
            x_label="generator steps",
            y_label="loss",
            series=(series("discriminator", "discriminator_loss"), series("generator", "generator_loss")),
            lines=(
                Line("D at equilibrium", loss.discriminator_equilibrium),
                Line("G at equilibrium", loss.generator_equilibrium),
            ),
        ),
        CurvePanel(
            title="D(x) and D(G(z))",
            section="Training",
            caption="Mean probability that the discriminator gives to real and to generated images.",
            x_label="generator steps",
            y_label="probability",
            series=(series("D(x)", "real_probability"), series("D(G(z))", "fake_probability")),
            lines=(Line("equilibrium", 0.5),),
        ),
        CurvePanel(
            title="Distance to the real images",
            section="Training",
            caption="Fréchet distance of the averaged generator at each evaluation; the lowest is the best checkpoint.",
            x_label="generator steps",
            y_label="Fréchet distance",
            series=(series("distance", "distance", looks),),
            log_y=True,
        ),
    ]


def _strip(run: Run) -> ImagePanel:
    """The same latents through training."""
    files = sorted(run.samples.glob("step-*.png"))
    chosen = files if len(files) <= STRIP else [files[round(i * (len(files) - 1) / (STRIP - 1))] for i in range(STRIP)]
    items = tuple(Picture(f"samples/{file.name}", f"step {int(file.stem[5:]):,}") for file in chosen)
    return ImagePanel(title="The same latents through training", section="Training", items=items, layout="wide")
