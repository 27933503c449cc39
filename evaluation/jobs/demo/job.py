"""`advgan demo`: the whole loop on one set of images: attack, generate, augment, harden, attack again."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from advgan.config import ClassifierTraining, DefenseConfig, GanTraining, NetworkConfig
from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.data import Data, load_data
from advgan.storage.runs import Run
from evaluation.jobs.attack import job as attack
from evaluation.jobs.augment import job as augment
from evaluation.jobs.demo.config import DemoConfig
from evaluation.jobs.demo.stages import Stage, verdict, why_struck
from evaluation.jobs.fit import job as fit
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.jobs.suites import format_eps, setting_name
from evaluation.jobs.train import job as train
from evaluation.jobs.uses import DEMO
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.panels import CurvePanel, ImagePanel, Panel
from evaluation.report.results import Headline, Results
from evaluation.report.text import format_value
from evaluation.under_attack.budgets import CONVENTIONAL_EPS

__all__ = ["DemoConfig", "plan", "run"]

SMALL = 16
"""Side in pixels up to which the `digits` preset of the GAN fits; above, `small`."""
LARGEST = 64
TINY_EPS = 0.15
"""Budget for tiny grey images, whose strokes are one pixel wide: 0.3 would paint another digit."""


def plan(config: DemoConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    data = _read(config, setup)
    return [
        data.summary(),
        f"linf eps {format_eps(_eps(config, data))}; {_train_config(config, data).training.steps} GAN steps",
    ]


def run(config: DemoConfig, setup: Setup) -> Outcome:
    """Run the seven stages, each a run of its own in a folder of this one, and join them into one report."""
    data = _read(config, setup)
    eps = _eps(config, data)
    run = setup.create_run("demo", data.name, config)
    log.info("%s", data.summary())
    defense = DefenseConfig(name="pgd", eps=eps, steps=5)

    def stage(name: str, text: str, job: Callable[[Setup], Outcome]) -> Stage:
        log.info("%s", text)
        with _warnings_only():
            return Stage(name, job(replace(setup, out=run.folder / name, exist_ok=False)))

    plain = stage("1-classifier", "1/7 A classifier learns.", lambda s: fit.run(_fit_config(config, data), s))
    before = stage(
        "2-attack", "2/7 Noise, FGSM and PGD attack it.", lambda s: _attacked(_attack_config(config, plain, eps), s)
    )
    gan = stage("3-gan", "3/7 A GAN learns to draw.", lambda s: _only(train.run(_train_config(config, data), s)))
    extra = stage(
        "4-augmented",
        "4/7 Adversarial and generated images become a training set.",
        lambda s: augment.run(_augment_config(config, plain, gan, eps), s),
    )
    hardened = stage(
        "5-hardened",
        "5/7 A classifier learns adversarially, from the real images alone.",
        lambda s: fit.run(_fit_config(config, data, defense=defense), s),
    )
    augmented = stage(
        "6-hardened-augmented",
        "6/7 Another one learns adversarially, from the augmented set.",
        lambda s: fit.run(_fit_config(config, data, defense=defense, extra=extra.folder / "images"), s),
    )
    again = [
        stage(
            f"7-attack-{name}",
            f"7/7 The same attacks on the hardened classifier ({name}).",
            lambda s, target=target: _attacked(_attack_config(config, target, eps), s),  # type: ignore[misc]
        )
        for name, target in (("real", hardened), ("augmented", augmented))
    ]
    return _join(run, data, eps, before=before, gan=gan, extra=extra, again=again)


@contextmanager
def _warnings_only() -> Iterator[None]:
    """Log only warnings inside a stage, as the demo logs its own summary; progress bars stay."""

    def serious(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    log.addFilter(serious)
    try:
        yield
    finally:
        log.removeFilter(serious)


def _read(config: DemoConfig, setup: Setup) -> Data:
    data = load_data(config.data, workers=setup.workers, use=DEMO)
    if data.size > LARGEST:
        raise ValueError(
            f"--data {config.data.source}: the demo's GAN draws up to {LARGEST} pixels, these images have {data.size}; "
            f"add --resize {LARGEST} or --resize 32"
        )
    return data


def _eps(config: DemoConfig, data: Data) -> float:
    if config.eps is not None:
        return config.eps
    return TINY_EPS if data.size <= SMALL and data.channels == 1 else CONVENTIONAL_EPS["linf", data.channels]


def _fit_config(
    config: DemoConfig, data: Data, *, defense: DefenseConfig | None = None, extra: Path | None = None
) -> fit.FitConfig:
    """The recipe of the three classifiers, which differ only in the defense and the training images."""
    steps = config.hardening_steps if defense else config.classifier_steps
    batch_size = min(128, len(data.train))
    training = ClassifierTraining(
        epochs=max(1, math.ceil(steps * batch_size / len(data.train))),
        batch_size=batch_size,
        defense=defense or DefenseConfig(),
        extra_fraction=0.5 if extra else None,
        seed=config.seed,
    )
    if extra:
        # Half of each batch is extra, so an epoch of the real images has twice the steps: as many steps in all.
        training = training.model_copy(update={"epochs": max(1, math.ceil(training.epochs / 2))})
    network = NetworkConfig(name="cnn", width=32 if defense else None)
    return fit.FitConfig(data=config.data, network=network, training=training, extra=str(extra) if extra else None)


def _attack_config(config: DemoConfig, target: Stage, eps: float) -> attack.AttackConfig:
    return attack.AttackConfig(
        model=str(target.folder),
        data=config.data,
        attacks=("uniform", "fgsm", "pgd"),
        eps=(eps,),
        steps=20,
        num_samples=config.num_samples,
        curve_points=6,
        seed=config.seed,
    )


def _attacked(config: attack.AttackConfig, setup: Setup) -> Outcome:
    return _only(attack.run(config, setup))


def _only(outcome: Outcome | None) -> Outcome:
    assert outcome is not None, "the demo is one process"
    return outcome


def _train_config(config: DemoConfig, data: Data) -> train.TrainConfig:
    preset = resolve(train.TrainConfig, file=preset_file("train", "digits" if data.size <= SMALL else "small"))
    steps = config.gan_steps or preset.training.steps
    changes = {"steps": steps, "seed": config.seed, "batch_size": min(preset.training.batch_size, len(data.train))}
    training = GanTraining.model_validate({**preset.training.model_dump(), **changes})
    return preset.model_copy(update={"data": config.data, "training": training})


def _augment_config(config: DemoConfig, plain: Stage, gan: Stage, eps: float) -> augment.AugmentConfig:
    return augment.AugmentConfig(
        model=str(plain.folder),
        data=config.data,
        attacks=("fgsm",),
        eps=(eps,),
        checkpoint=str(gan.folder),
        seed=config.seed,
    )


def _join(run: Run, data: Data, eps: float, *, before: Stage, gan: Stage, extra: Stage, again: list[Stage]) -> Outcome:
    """One report of the whole loop, with its five numbers on top."""
    fgsm = setting_name("fgsm", "linf", eps)
    hardened, augmented = again
    covered = gan.found("modes_covered")[:1]
    five = [
        ("clean accuracy", before.score("clean_accuracy"), "before any attack"),
        ("robust accuracy before", before.worst, f"{fgsm} and PGD, worst case"),
        *(("distance of the GAN", score, _covered(covered, score)) for score in _distance(gan)),
        ("robust accuracy, hardened", hardened.worst, "on real images alone"),
        ("robust accuracy, augmented", augmented.worst, "on the augmented set"),
    ]
    scores = [score for stage in (before, gan, extra, *again) for score in stage.outcome.results.scores]
    findings = [finding for stage in (before, gan, extra, *again) for finding in stage.outcome.results.findings]
    results = Results(
        command="demo",
        title=f"The whole loop on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=verdict(before, hardened, augmented),
        header=(
            ("data", data.summary()),
            ("threat model", f"linf, eps {format_eps(eps)}; leave the right class; white box"),
            ("stages", ", ".join(stage.folder.name for stage in (before, gan, extra, *again))),
        ),
        headline=tuple(
            Headline(label, score, note, struck=why_struck(score, (before, hardened, augmented)))
            for label, score, note in five
        ),
        scores=tuple(scores),
        findings=_once(findings),
        panels=(
            _curves(before, hardened, augmented),
            *before.panels(ImagePanel, section="1. Attack", limit=3)[1:],
            *gan.panels(ImagePanel, section="2. Generate", limit=2),
            *gan.panels(CurvePanel, section="2. Generate", limit=3),
            *extra.panels(ImagePanel, section="3. Augment"),
            *augmented.panels(ImagePanel, section="4. Attack again", limit=3)[1:],
        ),
        versions=versions(),
    )
    rows = [*five[:-2], *(("modes of the GAN", score, "") for score in covered), *five[-2:]]
    return finish(
        run, results, summary=[replace(score, setting=f"{label}: {score.setting}") for label, score, _ in rows]
    )


def _distance(gan: Stage) -> list[Score]:
    """To images that the GAN has not learnt from, where some were held out."""
    return (gan.found("fd_unseen") or gan.found("fd"))[:1]


def _covered(found: list[Score], distance: Score) -> str:
    told = ["to held-out images"] if distance.metric.startswith("fd_unseen") else []
    told += [f"modes covered: {format_value(found[0])}"] if found else []
    return "; ".join(told)


def _curves(before: Stage, hardened: Stage, augmented: Stage) -> Panel:
    """PGD against the three classifiers in one figure."""
    series = []
    stages = (("before", before), ("hardened, real images", hardened), ("hardened, augmented", augmented))
    for name, stage in stages:
        panel = next(panel for panel in stage.outcome.results.panels if isinstance(panel, CurvePanel))
        pgd = next(curve for curve in panel.series if curve.name == "pgd")
        series.append(replace(pgd, name=name))
    return CurvePanel(
        title="Accuracy against eps, before and after",
        section="The loop",
        caption="PGD with 20 steps against each classifier; shaded: 95 % intervals.",
        x_label="eps (linf)",
        y_label="accuracy",
        percent=True,
        series=tuple(series),
    )


def _once(findings: list[Finding]) -> tuple[Finding, ...]:
    """Each kind of finding once, with the evidence of the first stage; the stages' own reports hold them all."""
    return tuple({finding.title: finding for finding in reversed(findings)}.values())[::-1]
