"""Fit a baseline (variational autoencoder, Gaussian mixture), evaluate it at intervals, and score it like a GAN."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch

from advgan.config import Baseline
from advgan.data import IMAGES, Data, load_data
from advgan.gan.baselines import VaeState, fit_mixture, start_vae, train_vae
from advgan.machine.kernels import kernels
from advgan.machine.precision import true_float32
from advgan.models.gans.mixture import MixtureGenerator
from advgan.models.interface import Generator
from advgan.sampling.drawing import sample
from advgan.sampling.stored import baseline_of, load_gan, load_vae_state, save_baseline
from advgan.storage.atomic import write_atomically
from advgan.storage.checkpoints import room_for_checkpoints
from advgan.storage.runs import Run
from evaluation.features.features import extract
from evaluation.game.look_history import by_one_judge
from evaluation.generator_verdict import generator_verdict
from evaluation.jobs.afterwards import with_panels
from evaluation.jobs.begun_with import as_begun, check_judge, check_recipe, newest_checkpoint
from evaluation.jobs.eval.job import evaluate_gan
from evaluation.jobs.eval.panels import scored_parts
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.longer import lengthen, longer_findings
from evaluation.jobs.setup import Outcome, Setup, finish, keep, log, now, progress, versions
from evaluation.jobs.train.threads import vae_threads
from evaluation.jobs.watched import Watched
from evaluation.modes.modes import modes
from evaluation.report.panels import CurvePanel, Panel, Series
from evaluation.report.pictures import SHOWN, grid_columns, image_grid
from evaluation.report.results import Headline, Results
from evaluation.seeing.reference import Reference
from evaluation.watching.followed_distance import looked_at, unmade_findings


class BaselineConfig(Watched):
    """The settings of a baseline's fit and its evaluations: a mixture is logged each iteration, scored at its end."""

    baseline: Baseline = Baseline()


class Progress(NamedTuple):
    """One step of whatever is fitted."""

    step: int
    row: dict[str, float | torch.Tensor]
    """What to log: means over the steps since the last row are taken of it."""
    generator: Generator
    fitted: VaeState | MixtureGenerator
    is_due: bool
    """Whether this is the moment to evaluate."""
    is_logged: bool


def plan(config: BaselineConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    data = load_data(config.data, workers=setup.workers, use=IMAGES)
    return [data.summary(), _recipe(config.baseline)]


def run_baseline(config: BaselineConfig, setup: Setup) -> Outcome:
    """Fit, evaluate on the way, score the best checkpoint; a vae goes on exactly where an earlier run stopped."""
    data = as_begun(load_data(config.data, workers=setup.workers, use=IMAGES), setup.resume)
    log.info("%s", data.summary())
    baseline = config.baseline
    extractor = choose_extractor(config.features, data, setup)
    check_judge(setup.resume, extractor.title)
    reference = Reference(data, extractor, seed=baseline.seed)
    threads: AbstractContextManager[None] = nullcontext()
    if baseline.kind == "vae":
        threads = vae_threads(baseline, data, setup.torch_device(), resumed=setup.resume)
    with threads:
        return _watched(config, setup, data, reference)


def _watched(config: BaselineConfig, setup: Setup, data: Data, reference: Reference) -> Outcome:
    baseline = config.baseline
    steps, run, first = _begin(config, setup, data)
    try:
        with kernels(setup.torch_device(), deterministic=True):
            _fit(run, steps, config, reference, first=first)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"What was fitted until then is kept in {run.folder}.") from None
    best = load_gan(run.best, device=setup.torch_device())
    scored = evaluate_gan(best, reference, num_samples=config.num_samples, seed=baseline.seed)
    unmade = unmade_findings(run.rows())
    results = Results(
        command="train",
        title=f"{baseline.kind} on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=generator_verdict(scored.scores, scored.findings, alarms=unmade),
        header=(
            ("data", data.summary()),
            ("generator", scored.subject),
            ("extractor", f"{reference.extractor.name} {reference.extractor.digest}"),
            ("recipe", _recipe(baseline)),
        ),
        headline=tuple(Headline(score.metric, score, score.setting) for score in scored.headline),
        scores=scored.scores,
        findings=(*unmade, *scored.findings, *longer_findings(run)),
        versions=versions(),
    )
    keep(run, results)
    curve = {"The curve of the fit": lambda: [_curve(run, baseline)]}
    results = with_panels(results, scored_parts(run.folder, scored, reference), curve)
    return finish(run, results, summary=scored.headline)


def _begin(config: BaselineConfig, setup: Setup, data: Data) -> tuple[Iterator[Progress], Run, int]:
    """The steps to come, of a new run or of an old one after its last checkpoint, and how many are done."""
    baseline, state = config.baseline, None
    if baseline.kind == "vae":
        device, shape = setup.torch_device(), {"size": data.size, "channels": data.channels}
        newest = newest_checkpoint(setup.resume, load_vae_state) if setup.resume else None
        if setup.resume and newest:
            before = baseline_of(newest)
            check_recipe(setup.resume, before, baseline, section="baseline", longer="steps")
            state = load_vae_state(newest, device=device)
            _lengthen(config, setup.resume, before=before, done=state.step)
        else:
            state = start_vae(baseline, **shape, device=device)
    first = state.step if state else 0
    if state and not first:
        setup.check_place("train", checkpoints=room_for_checkpoints(state.to_tree(), state.optimizer))
    run = setup.resume or setup.create_run("train", f"{data.name}-{baseline.kind}", config)
    run.rewind_log(first)
    return (_vae_steps(state, data, config) if state else _mixture_steps(data, baseline)), run, first


def _lengthen(config: BaselineConfig, run: Run, *, before: Baseline, done: int) -> None:
    lengths = {"before": before.steps, "now": config.baseline.steps}
    option = "--set baseline.steps="
    lengthen(run, config, option=option, unit="steps", done=done, rate=lambda step, steps: 1.0, **lengths)


def _vae_steps(state: VaeState, data: Data, config: BaselineConfig) -> Iterator[Progress]:
    for step in train_vae(state, data.train, config.baseline):
        last = step.step == config.baseline.steps
        row = {"bound": step.bound, "reconstruction": step.reconstruction, "divergence": step.divergence}
        is_due, is_logged = (step.step % every == 0 or last for every in (config.evaluate_every, config.log_every))
        yield Progress(step.step, {**row}, state.network.decoder, state, is_due, is_logged)


def _mixture_steps(data: Data, baseline: Baseline) -> Iterator[Progress]:
    for step in fit_mixture(data.train, baseline):
        row: dict[str, float | torch.Tensor] = {"log_likelihood": step.log_likelihood}
        yield Progress(step.step, row, step.generator, step.generator, step.is_last, True)


def _fit(run: Run, steps: Iterator[Progress], config: BaselineConfig, reference: Reference, *, first: int) -> None:
    baseline, rows = config.baseline, list[dict[str, Any]]()
    earlier = by_one_judge(run.rows(), reference.extractor.title)
    best = min((row["distance"] for row in earlier), default=math.inf)
    keep = partial(save_baseline, baseline=baseline, data=reference.data.describe())
    with progress(baseline.steps, baseline.kind, initial=first) as bar:
        for step in steps:
            rows.append(step.row)
            bar.update()
            if not step.is_logged:
                continue

            # Log: the only place where the host waits for the device.
            row = _mean_row(step.step, rows)
            rows.clear()
            if not step.is_due:
                run.log(row)
                continue

            # Evaluate: score, draw, keep.
            row |= _look(run, step, config, reference)
            if row["distance"] <= best:
                best = row["distance"]
                keep(run.best, step.fitted, step=step.step)
            run.log(row)
            run.rotate()
            keep(run.last, step.fitted, step=step.step)
            covered = row["modes_covered"]
            bar.set_postfix(distance=f"{row['distance']:.3g}", **({} if covered is None else {"modes": covered}))


def _mean_row(step: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means since the last row; raises ValueError where one is no longer finite, since fitting cannot recover."""
    means = {name: float(torch.tensor([float(row[name]) for row in rows]).mean()) for name in rows[0]}
    broken = [name for name, value in means.items() if not math.isfinite(value)]
    if broken:
        raise ValueError(
            f"fitting diverged before step {step} ({broken[0]} is {means[broken[0]]}): lower baseline.learning_rate; "
            "the checkpoints before are kept"
        )
    return {"step": step, **means}


@true_float32()
def _look(run: Run, step: Progress, config: BaselineConfig, reference: Reference) -> dict[str, Any]:
    """Evaluate generated images as in a GAN's training, and write a grid of images of fixed latents."""
    seed = config.baseline.seed
    fakes = sample(step.generator, config.num_samples, seed=seed, batch_size=reference.batch_size, device="cpu")
    fake = extract(reference.extractor, fakes, batch_size=reference.batch_size)
    columns = grid_columns(reference.data.num_classes)
    grid = image_grid(fakes[: columns * max(1, SHOWN // columns)], columns=columns)
    write_atomically(run.samples / f"step-{step.step:07d}.png", grid)
    covered = modes(reference.real, fake).covered if fake.counts_classes else None
    return {"judge": reference.extractor.title, **looked_at(reference, fake), "modes_covered": covered}


def _recipe(baseline: Baseline) -> str:
    if baseline.kind == "vae":
        steps = f"{baseline.steps:,} steps of {baseline.batch_size} images"
        return f"{baseline.likelihood} likelihood, {baseline.latent_dim} codes, {steps}, seed {baseline.seed}"
    found = f"{baseline.components} Gaussians of {baseline.latent_dim} principal components at most"
    return f"{found}, EM of {baseline.steps:,} iterations at most, seed {baseline.seed}"


def _curve(run: Run, baseline: Baseline) -> Panel:
    """A curve of the objective over the steps: the loss of a vae, the likelihood of a mixture."""
    rows = run.rows()
    names = ("bound", "reconstruction", "divergence") if baseline.kind == "vae" else ("log_likelihood",)

    def series(name: str) -> Series:
        x, y = tuple(float(row["step"]) for row in rows), tuple(row[name] for row in rows)
        return Series(name=name.replace("_", " "), x=x, y=y)

    return CurvePanel(
        title="Fit",
        section="Training",
        caption="Nats an image: the negative evidence lower bound and its two parts, or the likelihood that EM raises.",
        x_label="steps",
        y_label="nats",
        series=tuple(series(name) for name in names),
    )
