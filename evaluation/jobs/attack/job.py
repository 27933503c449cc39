"""`advgan attack`: the robust accuracy of a classifier, with findings and pictures of adversarial images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from advgan.classifier.sources import check_there
from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data
from advgan.data.split import stratified
from advgan.machine.precision import true_float32
from advgan.machine.processes import Processes, joined
from advgan.machine.room import Room
from advgan.models.classifiers.image_forms import preparation
from advgan.storage.checkpoints import parameters_digest
from advgan.storage.lock import join
from advgan.storage.runs import Run
from attacks import Classifier
from attacks.random import integers
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.attack.explained import Show, explained
from evaluation.jobs.attack.files import ADVERSARIAL, refuse_earlier_images, save_images
from evaluation.jobs.attack.measured import attack_answers, attack_scores, outcomes_by_setting, task_of
from evaluation.jobs.attack.questions import Tried
from evaluation.jobs.attack.summary import header, headline, verdict
from evaluation.jobs.attack.threads import attacking_threads
from evaluation.jobs.attack.unnamed_classes import unnamed_classes
from evaluation.jobs.judges import choose_classifier
from evaluation.jobs.setup import Outcome, Setup, finish, keep, now, progress, told_later, versions
from evaluation.jobs.sources import data_of
from evaluation.jobs.suites import attack_entry
from evaluation.jobs.uses import ATTACK
from evaluation.record.findings import Finding
from evaluation.report.results import Results
from evaluation.under_attack.chunks import Store, num_images, run_trials
from evaluation.under_attack.outcomes import Outcome as AttackOutcome
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import Trial

__all__ = ["AttackConfig", "plan", "run"]

CURVE_SAMPLES = 500
"""Images for the curve over eps, at most."""
TARGETS_STREAM = 1 << 32
NO_MATTER = {"model", "data", "save", "curve_points", "probes", "batch_size", "layout", "input_size"}
"""Settings that do not change the attacks' results."""
SUMMARY = ("clean_accuracy", "robust_accuracy", "robust_accuracy_8bit", "success_rate")


def plan(config: AttackConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    check_there(config.model)
    data = load_data(data_of(config.data, config.model), workers=setup.workers, use=ATTACK)
    names = [setting for settings in config.settings(data.channels).values() for setting in settings]
    return [data.summary(), f"{len(_chosen(data.test, config))} test images", f"attacks: {', '.join(names)}"]


@true_float32()
def run(config: AttackConfig, setup: Setup) -> Outcome | None:
    """Attack the correctly classified test images; score the outcome, check its validity, and write the report.

    Started by torchrun, each process attacks its share; the first has the outcome, the others None.
    """
    with joined(setup.device) as processes:
        return _run(config, replace(setup, device=processes.device(setup.device)), processes)


def _run(config: AttackConfig, setup: Setup, processes: Processes) -> Outcome | None:
    config = config.model_copy(update={"data": data_of(config.data, config.model)})
    data = load_data(config.data or DataConfig(), workers=setup.workers, use=ATTACK)
    classifier, data = _classifier(config, data, setup, processes)
    chosen = _chosen(data.test, config)
    subject = f"{classifier.name} {parameters_digest(classifier.network.state_dict())}"
    trials = config.trials(data.channels)
    _check(classifier, config)
    with attacking_threads(classifier, chosen, config.batch_size, resumed=setup.resume, processes=processes):
        task = _task(config, classifier, chosen)
        run = _open_run(config, data, setup, processes)
        outcomes = _attack_all(config, task, trials, run, subject=f"{subject} {chosen.digest}", processes=processes)
        if not processes.is_first:
            return None
        failed: list[OSError] = []
        measured = partial(_results, config, data, task, outcomes, run, subject=subject, failed=failed)
        keep(run, measured({}, ()))
        about = {"seed": config.seed, "model": subject, "data": _data_name(data)}
        with told_later(failed):
            save_images(run.folder / ADVERSARIAL, config.save, task.images, outcomes, about=about)
        some = _drawn(chosen, CURVE_SAMPLES)
        targets = _targets(config, some.labels, data.num_classes)
        show = Show(Tried(config, trials, outcomes, config.probes), some, targets, config.curve_points)
        results = explained(measured, show, task, run.folder)
    return finish(run, results, summary=[score for score in results.scores if score.metric in SUMMARY], failed=failed)


def _results(
    config: AttackConfig,
    data: Data,
    task: Task,
    outcomes: Mapping[str, AttackOutcome],
    run: Run,
    panel: Mapping[str, AttackOutcome],
    findings: Sequence[Finding],
    *,
    subject: str,
    failed: list[OSError],
) -> Results:
    """What was measured, with what the trust panel broke and found; the answers for each image go to the folder."""
    with told_later(failed):
        attack_answers(config, task, outcomes, panel).save(run.folder)
    scores = attack_scores(config, task, outcomes, panel, findings, subject=subject, data=_data_name(data))
    return Results(
        command="attack",
        title=f"{config.model} on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=verdict(scores, findings),
        header=(
            *header(config, data, subject, count=len(task.images), precision=config.precision),
            ("normalisation", preparation(task.classifier)),
        ),
        headline=tuple(headline(scores, findings)),
        scores=tuple(scores),
        findings=(*findings, *unnamed_classes(config.model, data)),
        versions=versions(),
    )


def _classifier(config: AttackConfig, data: Data, setup: Setup, processes: Processes) -> tuple[Classifier, Data]:
    """The classifier, and the data with its class numbers; the first process may fit one, which the others find."""
    given = config.data.source if config.data else ""
    if not processes.is_first:
        processes.wait()
    found = choose_classifier(config.model, data, setup, given=given, foreign=config)
    if processes.is_first:
        processes.wait()
    return found


def _task(config: AttackConfig, classifier: Classifier, chosen: ImageSet) -> Task:
    """The images with the classifier's predictions; the network compiled or in channels_last format if configured."""
    if config.channels_last:
        classifier.network.to(memory_format=torch.channels_last)
    if config.compile:
        classifier.network.compile()
    room = Room.of(config.batch_size)
    images, labels = chosen.unit(), chosen.labels
    task = task_of(classifier, images, labels, room=room, precision=config.precision, eight_bit=config.eight_bit)
    return replace(task, targets=_targets(config, labels, task.clean.logits.shape[1]))


def _open_run(config: AttackConfig, data: Data, setup: Setup, processes: Processes) -> Run:
    """The run that is resumed, or a new one, which the first process makes for all; all write into it."""
    run, name = setup.resume, f"{data.name}-{Path(config.model).name}"
    if run is None:
        if setup.out and config.save:
            refuse_earlier_images(setup.out / ADVERSARIAL)
        run = Run(
            processes.from_first(setup.create_run("attack", name, config).folder if processes.is_first else Path())
        )
    if not processes.is_first:
        join(run.folder)
    return run


def _attack_all(
    config: AttackConfig, task: Task, trials: Sequence[Trial], run: Run, *, subject: str, processes: Processes
) -> dict[str, AttackOutcome]:
    """Every trial at every budget, by the names of the settings."""
    smallest = task.room.size if config.batch_size != "auto" else AttackConfig().batch_size
    chunk_size = config.chunk_size or max(int(smallest), math.ceil(len(task.numbers) / 16))
    # Searches of before that setting are known without it.
    identity = config.model_dump(mode="json", exclude=NO_MATTER | ({"eight_bit"} if not config.eight_bit else set()))
    store = Store(run.folder / "searches", {"subject": subject, "settings": identity, "chunk_size": chunk_size})
    total, passes = num_images(len(task.numbers), len(trials), chunk_size, processes), 0
    try:
        with progress(total, "attack", unit=" images") as bar:

            def done(name: str, images: int, spent: int) -> None:
                nonlocal passes
                passes += spent
                bar.set_postfix_str(f"{passes:,} passes, {name}")
                bar.update(images)

            found = run_trials(
                task,
                trials,
                cascade=config.cascade,
                chunk_size=chunk_size,
                store=store,
                processes=processes,
                on_done=done,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"What was done is kept: advgan attack --resume {run.folder}") from None
    return outcomes_by_setting(config, trials, found, task)


def _check(classifier: Classifier, config: AttackConfig) -> None:
    """Refuse, before anything is written, attacks that the classifier cannot serve."""
    blind = [name for name in config.attacks if attack_entry(name).knowledge == "gradients"]
    if blind and not classifier.differentiable:
        raise ValueError(
            f"{classifier.name} gives no gradients, which {', '.join(blind)} need: "
            "use --attack square, hopskipjump or another that needs none"
        )


def _targets(config: AttackConfig, labels: Tensor, num_classes: int) -> Tensor | None:
    return choose_targets(labels, num_classes, config.seed) if config.targeted else None


def _chosen(images: ImageSet, config: AttackConfig) -> ImageSet:
    return images if config.num_samples is None else _drawn(images, config.num_samples)


def _drawn(images: ImageSet, most: int) -> ImageSet:
    """At most so many images, each class in proportion."""
    if len(images) <= most:
        return images
    return images.select(torch.from_numpy(stratified(images.labels.numpy(), most / len(images)).nonzero()[0]))


def choose_targets(labels: Tensor, num_classes: int, seed: int) -> Tensor:
    """A wrong class for each sample, a function of the seed and the sample's number."""
    offsets = 1 + integers(seed, torch.arange(len(labels)), num_classes - 1, stream=TARGETS_STREAM)
    return (labels + offsets) % num_classes


def _data_name(data: Data) -> str:
    return f"{data.name}/test {data.test.digest}"
