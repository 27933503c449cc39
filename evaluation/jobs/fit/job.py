"""`advgan fit`: train a classifier, plainly or adversarially, choose its best epoch, score it on the test split."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.stored import load_trained, save_classifier
from advgan.classifier.training import State, Step, train
from advgan.config import DefenseConfig
from advgan.data import Data, ImageSet, load_data
from advgan.machine.kernels import kernels
from advgan.machine.precision import true_float32
from advgan.machine.room import Room
from advgan.models.classifiers.architectures import CLASSIFIERS
from advgan.storage.checkpoints import room_for_checkpoints
from advgan.storage.runs import Run
from attacks import Attack, Classifier, pgd
from evaluation.jobs.afterwards import with_panels
from evaluation.jobs.augmented import read_extra
from evaluation.jobs.begun_with import as_begun
from evaluation.jobs.fit.beginning import begin, with_weights
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.fitting_threads import fitting_threads
from evaluation.jobs.longer import longer_findings
from evaluation.jobs.setup import Outcome, Setup, finish, keep, log, now, progress, versions
from evaluation.jobs.suites import setting_name
from evaluation.jobs.uses import FIT
from evaluation.record.scores import Score
from evaluation.report.panels import CurvePanel, Panel, Series
from evaluation.report.results import Headline, Results
from evaluation.report.text import format_score
from evaluation.under_attack.rows import robustness

__all__ = ["FitConfig", "plan", "run"]

VALIDATION_ATTACKED = 500  # images; enough to rank epochs
TEST_STEPS = 40


def plan(config: FitConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    config = with_weights(config)
    data, extra = _read(config, setup)
    steps = steps_per_epoch(config.training, len(data.train), len(extra) if extra else 0)
    more = f" and {len(extra):,} extra images" if extra else ""
    return [data.summary() + more, f"{config.training.epochs} epochs of {steps} steps on {setup.torch_device()}"]


def run(config: FitConfig, setup: Setup) -> Outcome:
    """Train, keeping the last and the best checkpoint; go on exactly where the run of `setup.resume` stopped."""
    config = with_weights(config)
    data, extra = _read(config, setup)
    log.info("%s", data.summary())
    state = begin(config, setup, data, extra, setup.torch_device())
    with fitting_threads(config.network, config.training, state, data.train, extra=extra, resumed=setup.resume):
        return _fitted(config, setup, data, extra, state)


def _fitted(config: FitConfig, setup: Setup, data: Data, extra: ImageSet | None, state: State) -> Outcome:
    if not state.step:
        setup.check_place("fit", checkpoints=room_for_checkpoints(state.to_tree(), state.optimizer))
    run = setup.resume or setup.create_run("fit", f"{data.name}-{config.network.called}", config)
    run.rewind_log(state.step)
    try:
        with kernels(state.device, deterministic=config.training.deterministic):
            _train(run, state, config, data, extra)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Every whole epoch is kept: advgan fit --resume {run.folder} goes on.") from None
    classifier, info = load_trained(run.best, device=state.device)
    subject = f"{info.name} {info.digest}"
    scores = _test(classifier, data, config, subject)
    results = _results(run, config, data, subject, scores)
    keep(run, results)
    outcome = finish(run, with_panels(results, {"The curves of training": lambda: _curves(run)}), summary=scores)
    log.info("attack it by its run: advgan attack --model %s%s", run.folder, _not_by_name(config.network.name))
    return outcome


def _not_by_name(name: str) -> str:
    """Advice to name the run: a bare architecture name keeps meaning the classifier of the fixed recipe."""
    return f" (--model {name} alone is the one of the fixed recipe, not this one)" if name in CLASSIFIERS else ""


def _read(config: FitConfig, setup: Setup) -> tuple[Data, ImageSet | None]:
    data = as_begun(load_data(config.data, workers=setup.workers, use=FIT), setup.resume)
    return data, read_extra(Path(config.extra), data) if config.extra else None


def _train(run: Run, state: State, config: FitConfig, data: Data, extra: ImageSet | None) -> None:
    training = config.training
    per_epoch = steps_per_epoch(training, len(data.train), len(extra) if extra else 0)
    best = max((row["validation"] for row in run.rows()), default=-1.0)
    steps: list[Step] = []
    with progress(training.epochs * per_epoch, "fit", initial=state.step) as bar:
        for step in train(state, data.train, training, extra=extra):
            steps.append(step)
            bar.update()
            if step.step % per_epoch:
                continue

            # Epoch: score on the validation split, log, keep.
            row = _epoch_row(steps, state, config, data)
            steps.clear()
            keep = partial(save_classifier, state=state, network=config.network, training=training)
            if row["validation"] >= best:
                best = row["validation"]
                keep(run.best, data=data.describe())
            run.log(row)
            run.rotate()
            keep(run.last, data=data.describe())
            bar.set_postfix(loss=f"{row['loss']:.3f}", validation=f"{row['validation']:.1%}")


def _epoch_row(steps: list[Step], state: State, config: FitConfig, data: Data) -> dict[str, Any]:
    """Means over the epoch, and the validation accuracy by which epochs are ranked: under attack where there is one."""
    count = sum(step.num_images for step in steps)
    losses = torch.stack([step.loss * step.num_images for step in steps])
    correct = torch.stack([step.correct for step in steps])
    row = {
        "step": steps[-1].step,
        "epoch": steps[-1].epoch + 1,
        "loss": float(losses.sum()) / count,
        "train_accuracy": int(correct.sum()) / count,
        "learning_rate": steps[-1].learning_rate,
        "eps": steps[-1].eps,
    }
    classifier, defense = state.classifier(), config.training.defense
    clean = _accuracy(classifier, data.validation)
    if defense.name == "none":
        return {**row, "validation": clean}
    some = data.validation.select(range(min(len(data.validation), VALIDATION_ATTACKED)))
    robust = _accuracy(classifier, some, _test_attack(defense, steps=10))
    return {**row, "validation_clean": clean, "validation": robust}


@true_float32()
def _accuracy(classifier: Classifier, images: ImageSet, attack: Attack | None = None) -> float:
    correct = 0
    for numbers in torch.arange(len(images)).split(256):
        pixels, labels = images.unit(numbers, classifier.device), images.labels[numbers].to(classifier.device)
        if attack is not None:
            pixels = attack(classifier, pixels, labels, indices=numbers.to(pixels.device))
        correct += int((classifier.logits(pixels).argmax(dim=1) == labels).sum())
    return correct / len(images)


def _test_attack(defense: DefenseConfig, *, steps: int) -> Attack:
    return partial(pgd, eps=defense.eps, norm=defense.norm, steps=steps)


def _test(classifier: Classifier, data: Data, config: FitConfig, subject: str) -> list[Score]:
    """Clean accuracy on the test split, and the accuracy under PGD where the classifier was defended."""
    defense = config.training.defense
    attacks: dict[str, Attack] = {}
    if defense.name != "none":
        attacks[setting_name("pgd", defense.norm, defense.eps)] = _test_attack(defense, steps=TEST_STEPS)
    return robustness(
        classifier,
        data.test.unit(),
        data.test.labels,
        attacks,
        subject=subject,
        data=f"{data.name}/test {data.test.digest}",
        batch_size=Room(automatic=True),
        seed=config.training.seed,
    )


def _results(run: Run, config: FitConfig, data: Data, subject: str, scores: list[Score]) -> Results:
    clean = next(score for score in scores if score.metric == "clean_accuracy")
    robust = next((score for score in scores if score.metric == "robust_accuracy"), None)
    headline = [Headline("clean accuracy", clean, "test images, not attacked")]
    if robust:
        headline.append(Headline("robust accuracy", robust, robust.setting))
    training, defense = config.training, config.training.defense
    return Results(
        command="fit",
        title=f"{config.network.called} on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=f"clean accuracy {format_score(clean)}"
        + (f"; under {robust.setting}: {format_score(robust)}" if robust else ""),
        header=(
            ("data", data.summary()),
            ("model", subject),
            ("defense", "none" if defense.name == "none" else f"{defense.name}, {defense.norm} eps {defense.eps:g}"),
            ("recipe", f"{training.epochs} epochs, {training.optimizer}, {training.schedule}, seed {training.seed}"),
            ("extra images", config.extra or "none"),
            ("weights from", config.start_from or "none, fresh ones"),
        ),
        headline=tuple(headline),
        scores=tuple(scores),
        findings=tuple(longer_findings(run)),
        versions=versions(),
    )


def _curves(run: Run) -> tuple[Panel, ...]:
    rows = run.rows()
    epochs = tuple(float(row["epoch"]) for row in rows)

    def series(name: str, key: str) -> Series:
        return Series(name=name, x=epochs, y=tuple(row[key] for row in rows))

    accuracies = [series("training batches", "train_accuracy"), series("validation", "validation")]
    if rows and "validation_clean" in rows[0]:
        accuracies = [
            series("training batches, attacked", "train_accuracy"),
            series("validation, attacked", "validation"),
            series("validation, clean", "validation_clean"),
        ]
    return (
        CurvePanel(
            title="Accuracy by epoch",
            section="Training",
            x_label="epoch",
            y_label="accuracy",
            percent=True,
            series=tuple(accuracies),
        ),
        CurvePanel(
            title="Training loss", section="Training", x_label="epoch", y_label="loss", series=(series("loss", "loss"),)
        ),
    )
