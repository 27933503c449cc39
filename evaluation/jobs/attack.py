"""`advgan attack`: how much of a classifier's accuracy is left under attack, with pictures of what fooled it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from pydantic import Field, model_validator
from torch import Tensor

from advgan.checkpoints import parameters_digest
from advgan.config import DataConfig, Number
from advgan.data import Data, ImageSet, load_data
from advgan.data.split import stratified
from attacks import Attack, Classifier
from attacks.random import integers
from evaluation.attack_findings import outcome_findings
from evaluation.classifier_findings import classifier_findings
from evaluation.eps_curve import eps_curve
from evaluation.jobs.judges import choose_classifier
from evaluation.jobs.setup import Outcome, Setup, finish, now, progress, threads_for, versions
from evaluation.jobs.sources import data_of
from evaluation.jobs.suites import CONTROLS, AttackOptions, bind, format_eps, setting_name
from evaluation.outcomes import Clean, clean_outcome, sweep
from evaluation.outcomes import Outcome as AttackOutcome
from evaluation.report.panels import CurvePanel, ImagePanel, Line, Panel, Series
from evaluation.report.pictures import Prediction, triplets_panel
from evaluation.report.results import Headline, Results
from evaluation.report.text import format_score
from evaluation.robustness import WORST_CASE, outcome_scores
from evaluation.scores import Score

SHOWN = 6
"""Triplets in the report."""
CURVE_SAMPLES = 500
"""Images for the curve over eps, at most."""
TARGETS_STREAM = 1 << 32
SUMMARY = ("clean_accuracy", "robust_accuracy", "robust_accuracy_8bit", "success_rate")


class AttackConfig(AttackOptions):
    """What `advgan attack` attacks, and with what."""

    model: str = "resnet"
    data: DataConfig | None = None
    """None: the data that the model's run was trained on, else the embedded digits."""
    num_samples: int | None = Field(default=None, ge=1)
    """Test images, drawn in proportion to their classes; None: all."""
    curve_points: int = Field(default=8, ge=0)
    """Budgets on the curve of accuracy against eps; 0 leaves it out."""
    mean: tuple[Number, ...] | None = None
    std: tuple[Number, ...] | None = None
    batch_size: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _mean_with_std(self) -> "AttackConfig":
        if (self.mean is None) != (self.std is None):
            raise ValueError("--mean and --std belong together: give both or neither")
        return self


def plan(config: AttackConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    data = load_data(data_of(config.data, config.model), workers=setup.workers)
    names = [setting_name(name, config.norm, eps) for name in config.attacks for eps in config.budgets(data.channels)]
    return [data.summary(), f"{len(_chosen(data.test, config))} test images", f"attacks: {', '.join(names)}"]


def run(config: AttackConfig, setup: Setup) -> Outcome:
    """Attack the test images that the classifier gets right; score, question the numbers, and show what fooled it."""
    config = config.model_copy(update={"data": data_of(config.data, config.model)})
    data = load_data(config.data or DataConfig(), workers=setup.workers)
    given = config.data.source if config.data else ""
    classifier = choose_classifier(config.model, data, setup, given=given, mean=config.mean, std=config.std)
    chosen = _chosen(data.test, config)
    images, labels = chosen.unit(), chosen.labels
    clean = clean_outcome(classifier, images, labels, batch_size=config.batch_size)
    with threads_for(data.size):
        outcomes, attacks = attack_all(classifier, images, labels, config, clean=clean)
        curves = curve_panels(classifier, data, config, max(config.budgets(data.channels)))
    subject = f"{classifier.name} {parameters_digest(classifier.network.state_dict())}"
    scores = outcome_scores(clean, outcomes, subject=subject, data=_data_name(data), seed=config.seed)
    run = setup.create_run("attack", f"{data.name}-{Path(config.model).name}", config)
    budgets = config.budgets(data.channels)
    results = Results(
        command="attack",
        title=f"{config.model} on {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=_verdict(scores),
        header=(
            ("threat model", _threat_model(config, budgets)),
            ("data", data.summary()),
            ("model", subject),
            ("attacks", ", ".join(config.attacks) + f"; {config.steps} steps, {config.restarts} restart(s)"),
            ("images", f"{len(chosen):,} of the test split; those classified rightly are attacked"),
            ("seed", str(config.seed)),
        ),
        headline=tuple(_headline(scores)),
        scores=tuple(scores),
        findings=(
            *classifier_findings(classifier, images, labels, clean),
            *outcome_findings(outcomes, attacks),
        ),
        panels=(
            *curves,
            *triplet_panels(run.folder, images, outcomes, data.classes),
        ),
        versions=versions(),
    )
    return finish(run, results, summary=[score for score in scores if score.metric in SUMMARY])


def attack_all(
    classifier: Classifier, images: Tensor, labels: Tensor, config: AttackConfig, *, clean: Clean
) -> tuple[dict[str, AttackOutcome], dict[str, Attack]]:
    """Every attack at every budget, by the names of the settings; what a smaller budget broke stays broken."""
    outcomes: dict[str, AttackOutcome] = {}
    attacks: dict[str, Attack] = {}
    budgets = config.budgets(images.shape[1])
    targets = choose_targets(labels, clean.logits.shape[1], config.seed) if config.targeted else None
    with progress(len(config.attacks), "attack") as bar:
        for name in config.attacks:
            bar.set_postfix_str(name)
            attack = bind(name, config)
            aims = None if name in CONTROLS else targets
            found = sweep(
                classifier, images, labels, attack, budgets, targets=aims, clean=clean, batch_size=config.batch_size
            )
            for eps, outcome in found.items():
                setting = setting_name(name, config.norm, eps)
                outcomes[setting], attacks[setting] = outcome, partial(attack, eps=eps)
            bar.update()
    return outcomes, attacks


def curve_panels(classifier: Classifier, data: Data, config: AttackConfig, eps: float) -> list[Panel]:
    """Accuracy against eps, to twice the budget: beyond it every attack should win in the end."""
    if config.curve_points == 0 or eps == 0:
        return []
    some = _drawn(data.test, CURVE_SAMPLES)
    budgets = [2 * eps * number / config.curve_points for number in range(1, config.curve_points + 1)]
    images, labels = some.unit(), some.labels
    targets = choose_targets(labels, data.num_classes, config.seed) if config.targeted else None
    clean = clean_outcome(classifier, images, labels, batch_size=config.batch_size)
    series = []
    for name in config.attacks:
        aims = None if name in CONTROLS else targets
        attack = bind(name, config)
        found = sweep(
            classifier, images, labels, attack, budgets, targets=aims, clean=clean, batch_size=config.batch_size
        )
        curve = eps_curve(found)
        series.append(Series(name=name, x=curve.eps, y=curve.robust_accuracy, low=curve.low, high=curve.high))
    return [
        CurvePanel(
            title="Accuracy against eps",
            section="Robustness",
            caption=f"{len(some):,} test images, {config.norm}; shaded: 95 % intervals. The budget of the table is "
            f"{format_eps(eps)}; a sound attack reaches 0 in the end.",
            x_label=f"eps ({config.norm})",
            y_label="accuracy",
            percent=True,
            series=tuple(series),
            lines=(Line("chance", 1 / data.num_classes),),
        )
    ]


def triplet_panels(
    folder: Path, images: Tensor, outcomes: Mapping[str, AttackOutcome], classes: tuple[str, ...], *, name: str = ""
) -> list[ImagePanel]:
    """Clean, perturbation and adversarial image, of samples that each attack fooled, one class after the other."""
    panels = []
    for setting, outcome in outcomes.items():
        chosen = _different_classes(outcome.success.nonzero().flatten(), outcome.clean.labels)
        if len(chosen) == 0:
            continue
        panels.append(
            triplets_panel(
                folder,
                images[chosen],
                outcome.adversarial[chosen],
                truth=[classes[label] for label in outcome.clean.labels[chosen]],
                before=_predictions(outcome.clean.logits[chosen], classes),
                after=_predictions(outcome.logits[chosen], classes),
                title=f"What fooled it: {setting}{name}",
                name=f"triplet-{setting}{name}".replace("/", "-").replace(" ", "-"),
                section="Robustness",
            )
        )
    return panels


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


def _different_classes(indices: Tensor, labels: Tensor) -> Tensor:
    """The first samples of as many classes as are shown, then the next of each."""
    seen: dict[int, int] = {}
    ranks = []
    for index in indices.tolist():
        label = int(labels[index])
        ranks.append((seen.get(label, 0), label, index))
        seen[label] = seen.get(label, 0) + 1
    return torch.tensor([index for _, _, index in sorted(ranks)[:SHOWN]], dtype=torch.int64)


def _predictions(logits: Tensor, classes: tuple[str, ...]) -> list[Prediction]:
    best = logits.softmax(dim=1).max(dim=1)
    return [Prediction(classes[label], float(value)) for value, label in zip(best.values, best.indices, strict=True)]


def _data_name(data: Data) -> str:
    return f"{data.name}/test {data.test.digest}"


def _threat_model(config: AttackConfig, budgets: tuple[float, ...]) -> str:
    aim = "reach a random wrong class" if config.targeted else "leave the right class"
    return f"{config.norm}, eps {', '.join(map(format_eps, budgets))}; {aim}; white box; one image at a time"


def _headline(scores: list[Score]) -> list[Headline]:
    shown = [Headline("clean accuracy", next(score for score in scores if score.metric == "clean_accuracy"))]
    robust = [score for score in scores if score.metric == "robust_accuracy"]
    worst = [score for score in robust if score.setting == WORST_CASE]
    notes = {WORST_CASE: "worst case over all attacks, image by image"}
    return shown + [
        Headline(f"under {score.setting}", score, notes.get(score.setting, "")) for score in (worst + robust)[:4]
    ]


def _verdict(scores: list[Score]) -> str:
    clean = next(score for score in scores if score.metric == "clean_accuracy")
    robust = min((score for score in scores if score.metric == "robust_accuracy"), key=lambda score: score.value)
    return f"clean accuracy {format_score(clean)}; under {robust.setting}: {format_score(robust)}"
