"""`advgan train`: train a GAN, evaluate it at intervals, keep its best checkpoint, score it at the end."""

import math
from dataclasses import dataclass, replace

import torch

from advgan.config import GanTraining
from advgan.data import Data, batches_per_epoch, load_data
from advgan.gan.training import start
from advgan.machine.kernels import kernels
from advgan.machine.precision import true_float32
from advgan.machine.processes import Processes, joined
from advgan.machine.room import Room
from advgan.machine.threads import computing_with
from advgan.sampling.stored import load_gan
from advgan.storage.runs import Run
from evaluation.features.features import Extractor, check_features
from evaluation.generator_verdict import generator_verdict
from evaluation.jobs.afterwards import with_panels
from evaluation.jobs.begun_with import as_begun, check_judge
from evaluation.jobs.eval.job import evaluate_gan
from evaluation.jobs.eval.panels import scored_parts
from evaluation.jobs.judges import check_extractor_name, choose_extractor
from evaluation.jobs.longer import longer_findings
from evaluation.jobs.setup import Outcome, Setup, finish, keep, log, now, versions
from evaluation.jobs.train import baselines
from evaluation.jobs.train.board import check_tensorboard
from evaluation.jobs.train.config import TrainConfig
from evaluation.jobs.train.loop import Row, looks, train_watched
from evaluation.jobs.train.panels import training_panels
from evaluation.jobs.train.parted import part_findings
from evaluation.jobs.train.start import begin, check_recordable, restarted_run
from evaluation.jobs.train.threads import training_threads
from evaluation.jobs.uses import use_of_training
from evaluation.record.findings import Finding
from evaluation.report.results import Headline, Results
from evaluation.seeing.reference import Reference
from evaluation.watching.alarms import raised
from evaluation.watching.followed_distance import unmade_findings
from evaluation.watching.monitor import Monitor

__all__ = ["TrainConfig", "plan", "run"]


@dataclass(frozen=True)
class _Trained:
    """What training leaves to the process that scores it."""

    run: Run
    data: Data
    extractor: Extractor
    reference: Reference
    threads: int
    parted: list[Finding]
    """Findings on layers and losses that saw only a part of each batch."""


def plan(config: TrainConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    if config.baseline:
        return baselines.plan(_baseline(config, setup), setup)
    check_recordable(config, setup)
    check_extractor_name(config.features)
    data = load_data(config.data, workers=setup.workers, use=use_of_training(config.networks, config.training))
    data = as_begun(data, setup.resume)
    training = config.training
    start(config.networks, training, size=data.size, channels=data.channels, num_classes=data.num_classes)
    used = training.steps * training.batches_per_step
    epochs = used / batches_per_epoch(data.train, training.batch_size)
    evaluations = math.ceil(training.steps / config.evaluate_every)
    steps = f"{training.steps:,} generator steps, {epochs:.1f} epochs, on {setup.torch_device()}"
    return [data.summary(), steps, f"{evaluations} evaluations with {config.num_samples:,} images each"]


def run(config: TrainConfig, setup: Setup) -> Outcome | None:
    """Train, evaluate on the way, score the best checkpoint; go on exactly where an earlier run stopped.

    Started by torchrun, the processes share every batch; the first one evaluates, writes and has the outcome, the
    others None.
    """
    if config.baseline:
        return baselines.run_baseline(_baseline(config, setup), setup)
    if config.tensorboard:
        check_tensorboard()
    with joined(setup.device) as processes:
        trained = _train(config, replace(setup, device=processes.device(setup.device)), processes)
    if trained is None:
        return None
    with computing_with(trained.threads):
        return _score(config, setup, trained)


def _baseline(config: TrainConfig, setup: Setup) -> baselines.BaselineConfig:
    if setup.resume and config.baseline and config.training.steps != GanTraining().steps:
        raise ValueError(
            f"--steps are those of a GAN, and {setup.resume.folder} is a {config.baseline.kind}: "
            f"--set baseline.steps={config.training.steps} makes it longer"
        )
    fields = baselines.BaselineConfig.model_fields
    return baselines.BaselineConfig(**{name: getattr(config, name) for name in fields})


def _train(config: TrainConfig, setup: Setup, processes: Processes) -> _Trained | None:
    check_recordable(config, setup)
    setup, device = replace(setup, resume=setup.resume or restarted_run(setup)), setup.torch_device()
    data = load_data(config.data, workers=setup.workers, use=use_of_training(config.networks, config.training))
    data = as_begun(data, setup.resume)
    _check_batch(config, data)
    extractor = None
    if processes.is_first:
        log.info("%s", data.summary())
        extractor = choose_extractor(config.features, data, setup)
        check_judge(setup.resume, extractor.title)
    with training_threads(config, data, device, resumed=setup.resume, processes=processes):
        return _watched(config, setup, data, extractor, device, processes)


def _watched(
    config: TrainConfig,
    setup: Setup,
    data: Data,
    extractor: Extractor | None,
    device: torch.device,
    processes: Processes,
) -> _Trained | None:
    """Train; return what is needed for scoring in the first process, None in the others."""
    state, run = begin(config, setup, data, device, processes)
    parted = part_findings(state, config.training)
    for finding in parted if processes.is_first else []:
        log.warning("Note: %s. %s", finding.title, finding.evidence)
    room = Room(automatic=True)
    reference = Reference(data, extractor, seed=config.training.seed, batch_size=room) if extractor else None
    monitor = None
    if reference:
        training = config.training
        monitor = Monitor(reference, training.loss, config.num_samples, training.seed, config.diagnostics)
    try:
        with kernels(state.device, deterministic=config.training.deterministic):
            if reference:
                check_features(reference.real.values, reference.real.values, least=2)
            times = train_watched(run, state, data, config, monitor, processes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Every evaluated step is kept: advgan train --resume {run.folder} goes on.") from None
    if not extractor or not reference:
        return None
    if times.total:
        log.info("%s", times)
    return _Trained(run, data, extractor, reference, torch.get_num_threads(), parted)


@true_float32()
def _score(config: TrainConfig, setup: Setup, trained: _Trained) -> Outcome:
    """Score the best checkpoint and write the report."""
    run, data, seed = trained.run, trained.data, config.training.seed
    best = load_gan(run.best, device=setup.torch_device())
    scored = trained.reference.room.within(
        lambda _: evaluate_gan(best, trained.reference, num_samples=config.num_samples, seed=seed)
    )
    rows = run.rows()
    alarms = [*_alarms(looks(rows), config), *_two_judges(rows)]
    codes = {finding.code for finding in alarms}
    findings = (
        *alarms,
        *(finding for finding in scored.findings if not finding.code or finding.code not in codes),
        *longer_findings(run),
        *trained.parted,
    )
    results = Results(
        command="train",
        title=f"{config.networks.family} GAN on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=generator_verdict(scored.scores, scored.findings, alarms=alarms),
        header=(
            ("data", data.summary()),
            ("generator", f"{scored.subject}, step {best.step:,}"),
            ("extractor", f"{trained.extractor.name} {trained.extractor.digest}"),
            ("recipe", _recipe(config)),
        ),
        headline=tuple(Headline(score.metric, score, score.setting) for score in scored.headline),
        scores=tuple(scored.scores),
        findings=findings,
        versions=versions(),
    )
    keep(run, results)
    curves = {"The curves of training": lambda: training_panels(run, rows, config, data)}
    results = with_panels(results, scored_parts(run.folder, scored, trained.reference), curves)
    return finish(run, results, summary=scored.headline)


def _alarms(evaluations: list[Row], config: TrainConfig) -> list[Finding]:
    """Findings: alarms with the step at which each was raised, an early stop, and values that were not computed."""
    found = [
        replace(finding, title=f"{finding.title} (from step {step:,})")
        for step, finding in raised(evaluations, loss=config.training.loss)
    ]
    if "stopped" in evaluations[-1]:
        best = min(evaluations, key=lambda row: row["distance"])
        found.append(
            Finding(
                "info",
                "Training stopped early",
                f"{config.patience} evaluations up to step {evaluations[-1]['step']:,} brought no better distance than "
                f"{best['distance']:.4g} at step {best['step']:,}, whose checkpoint is scored here.",
                "Set patience higher, or to null, if the distance falls slowly or is noisy.",
                code="stopped-early",
            )
        )
    return [*found, *unmade_findings(evaluations)]


def _two_judges(rows: list[Row]) -> list[Finding]:
    """A finding where earlier looks were left out because they used another extractor."""
    judged, kept = [row for row in rows if "distance" in row], looks(rows)
    if len(judged) == len(kept):
        return []
    return [
        Finding(
            "warning",
            "Two judges in one training",
            f"{len(judged) - len(kept)} of {len(judged)} looks were judged by another network than "
            f"{kept[-1].get('judge')}, the judge since step {kept[0]['step']:,}: their distances are not compared, so "
            "the best checkpoint, alarms and patience count from there.",
            "Go on with a run on the machine and with the cache that it began with, or score its checkpoints anew with "
            "advgan eval.",
            code="two-judges",
        )
    ]


def _check_batch(config: TrainConfig, data: Data) -> None:
    if len(data.train) < config.training.batch_size:
        raise ValueError(
            f"training.batch_size {config.training.batch_size} exceeds the {len(data.train)} training images of "
            f"{data.name}: use --batch-size {len(data.train)} or less"
        )


def _recipe(config: TrainConfig) -> str:
    training = config.training
    kind = "class-conditional" if config.networks.conditional else "unconditional"
    penalty = f", gradient penalty {training.penalty_weight:g}" if training.penalty_weight else ""
    steps = f"{training.steps:,} steps of {training.batch_size} images"
    turns = f"{training.discriminator_steps} discriminator step(s) each"
    return f"{kind}, {training.loss} loss{penalty}, {steps}, {turns}, seed {training.seed}"
