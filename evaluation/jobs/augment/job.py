"""`advgan augment`: a training set of real, adversarial and generated images, on disk, with where each comes from."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from advgan.classifier.sources import check_there
from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data
from advgan.data.class_names import listed, numbers_among
from advgan.machine.precision import precision_note, true_float32
from advgan.ranges import to_bytes, to_unit
from advgan.sampling.renumbered import RenumberedGenerator
from advgan.sampling.stored import TrainedGan
from attacks import Classifier
from attacks.random import permutation
from evaluation.inputs.foreign import generator_of
from evaluation.jobs.afterwards import with_panels
from evaluation.jobs.attack.job import choose_targets
from evaluation.jobs.attack.threads import attacking_threads
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.augment.generated import confirmed, quotas, shortfall_findings
from evaluation.jobs.augmented import FLOATS, METADATA, REAL, Part, write_augmented
from evaluation.jobs.judges import choose_classifier
from evaluation.jobs.setup import Outcome, Setup, finish, keep, log, now, versions
from evaluation.jobs.sources import data_of
from evaluation.jobs.suites import bind, setting_name
from evaluation.jobs.uses import AUGMENT
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, noted, score_rows
from evaluation.report.panels import Panel
from evaluation.report.pictures import grids_panel
from evaluation.report.results import Headline, Results
from evaluation.statistics.intervals import Estimate, rate
from evaluation.under_attack.outcomes import bound

__all__ = ["AugmentConfig", "plan", "run"]

GENERATED = "generated"
SHOWN = 32


def plan(config: AugmentConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    check_there(config.model)
    data, gan = _read(config, setup)
    count = min(config.num_adversarial or len(data.train), len(data.train))
    lines = [data.summary(), f"{count:,} adversarial images each: {', '.join(config.attacks)}"]
    return lines + ([f"{config.num_generated or len(data.train):,} images of {gan.path}"] if gan else [])


@true_float32()
def run(config: AugmentConfig, setup: Setup) -> Outcome:
    """Write images/ with PNG class folders, metadata.csv and the floats; score what rounding to 8 bits changed."""
    data, gan = _read(config, setup)
    classifier, data = choose_classifier(config.model, data, setup, given=_data_config(config).source, foreign=config)
    gan = _numbered(gan, data, config) if gan else None
    with attacking_threads(classifier, data.train, config.batch_size):
        return _written(config, setup, data, gan, classifier)


def _written(
    config: AugmentConfig, setup: Setup, data: Data, gan: TrainedGan | None, classifier: Classifier
) -> Outcome:
    parts = [_real_part(data.train, classifier, config), *_adversarial_parts(data.train, classifier, config)]
    if gan:
        parts.append(_generated_part(gan, data, classifier, config))
    run = setup.create_run("augment", data.name, config.model_copy(update={"data": _data_config(config)}))
    folder = run.folder / "images"
    write_augmented(folder, parts, data.classes)
    log.info("wrote %s images into %s", f"{sum(len(part.images) for part in parts):,}", folder)
    scores = [score for part in parts for score in _scores(part, data, classifier)]
    scores = noted(scores, precision_note(classifier.device))
    results = Results(
        command="augment",
        title=f"Augmented training set of {data.name}",
        run=str(run.folder),
        created=now(),
        verdict=", ".join(f"{len(part.images):,} {part.name}" for part in parts) + " images",
        header=(
            ("data", data.summary()),
            ("classifier", classifier.name),
            ("generator", f"{gan.path} ({gan.digest})" if gan else "none"),
            ("files", f"images/ with {METADATA} and {FLOATS}; train on it: advgan fit --extra {folder}"),
            ("seed", str(config.seed)),
        ),
        headline=tuple(
            Headline(f"accuracy, {score.setting}", score, _note(score, config))
            for score in scores
            if _is_headline(score)
        ),
        scores=tuple(scores),
        findings=tuple(_findings(parts, data, config)),
        versions=versions(),
    )
    keep(run, results)
    panels = {"What each part looks like": lambda: _panels(run.folder, parts)}
    return finish(run, with_panels(results, panels), made=[folder])


def _data_config(config: AugmentConfig) -> DataConfig:
    return data_of(config.data, config.model, *([config.checkpoint] if config.checkpoint else []))


def _read(config: AugmentConfig, setup: Setup) -> tuple[Data, TrainedGan | None]:
    data = load_data(_data_config(config), workers=setup.workers, use=AUGMENT)
    gan = generator_of(config.checkpoint, data=data, device=setup.torch_device()) if config.checkpoint else None
    if gan and (gan.size, gan.channels) != (data.size, data.channels):
        raise ValueError(
            f"--ckpt {config.checkpoint}: draws images of {gan.data_name} ({gan.channels}x{gan.size}x{gan.size}), "
            f"which are not like {data.name} ({data.channels}x{data.size}x{data.size})"
        )
    if gan:
        _numbered(gan, data, config)
    return data, gan


def _numbered(gan: TrainedGan, data: Data, config: AugmentConfig) -> TrainedGan:
    """The GAN with the data's class numbers; ValueError where it draws other classes."""
    # One that was trained on images alone has no classes: the classifier names what it draws.
    numbers = numbers_among(gan.classes, data.classes)
    told = gan.generator.num_classes
    if gan.classes and (numbers is None or (told and told != data.num_classes)):
        raise ValueError(
            f"--ckpt {config.checkpoint}: draws the classes {listed(gan.classes)} of {gan.data_name}, and {data.name} "
            f"has {listed(data.classes)}: give the data that it was trained on, or a GAN of these"
        )
    if not told or numbers is None or gan.classes == data.classes:
        return gan
    return replace(gan, generator=RenumberedGenerator(gan.generator, numbers), classes=data.classes)


def _real_part(images: ImageSet, classifier: Classifier, config: AugmentConfig) -> Part:
    pixels = images.unit()
    rows = _rows(REAL, images.labels, torch.arange(len(images)), config)
    return Part(name=REAL, images=pixels, rows=_with_predictions(rows, classifier, pixels, pixels, config.batch_size))


def _adversarial_parts(images: ImageSet, classifier: Classifier, config: AugmentConfig) -> Iterator[Part]:
    """One part for each attack and budget, of the same draw of training images, whether or not they fool."""
    count = min(config.num_adversarial or len(images), len(images))
    numbers = permutation(config.seed, len(images))[:count].sort().values
    clean, labels = images.unit(numbers), images.labels[numbers]
    targets = choose_targets(labels, images.num_classes, config.seed)
    device = classifier.device
    for name in config.attacks:
        attack = bind(name, config)
        aims = targets if bound(attack, "targeted") else labels
        for eps in config.budgets(images.channels):
            found = torch.cat([
                attack(
                    classifier,
                    clean[some].to(device),
                    aims[some].to(device),
                    eps=eps,
                    indices=numbers[some].to(device),
                ).cpu()
                for some in torch.arange(count).split(config.batch_size)
            ])  # fmt: skip
            rows = _rows("adversarial", labels, numbers, config, attack=name, eps=eps)
            setting = setting_name(name, config.norm, eps)
            yield Part(
                name=setting,
                images=found,
                rows=_with_predictions(rows, classifier, clean, found, config.batch_size),
            )


def _generated_part(gan: TrainedGan, data: Data, classifier: Classifier, config: AugmentConfig) -> Part:
    """A quota for each class, in the shares of the training images, of what the classifier confirms."""
    kept = confirmed(
        gan,
        lambda images: _logits(classifier, images, config.batch_size),
        _quotas(data, config),
        min_confidence=config.min_confidence,
        seed=config.seed,
        batch_size=config.batch_size,
    )
    rows = _rows(GENERATED, kept.labels, kept.indices, config)
    images = kept.images
    return Part(
        name=GENERATED, images=images, rows=_with_predictions(rows, classifier, images, images, config.batch_size)
    )


def _quotas(data: Data, config: AugmentConfig) -> list[int]:
    return quotas(data.train.class_counts, config.num_generated or len(data.train))


def _rows(
    source: str, labels: Tensor, indices: Tensor, config: AugmentConfig, *, attack: str = "", eps: float | None = None
) -> pd.DataFrame:
    return pd.DataFrame({
        "label": labels.numpy(),
        "source": source,
        "index": indices.numpy(),
        "attack": attack,
        "eps": eps,
        "norm": config.norm if attack else "",
        "seed": config.seed,
    })  # fmt: skip


def _with_predictions(
    rows: pd.DataFrame, classifier: Classifier, before: Tensor, after: Tensor, batch_size: int
) -> pd.DataFrame:
    """Add the predictions for the original image, for the image, and for the image rounded to 8 bits."""
    logits = _logits(classifier, after, batch_size)
    return rows.assign(
        prediction_before=_logits(classifier, before, batch_size).argmax(dim=1).numpy(),
        prediction_after=logits.argmax(dim=1).numpy(),
        prediction_after_8bit=_logits(classifier, to_unit(to_bytes(after)), batch_size).argmax(dim=1).numpy(),
        confidence_after=logits.softmax(dim=1).amax(dim=1).numpy().round(6),
    )


def _logits(classifier: Classifier, images: Tensor, batch_size: int) -> Tensor:
    device = classifier.device
    return torch.cat([classifier.logits(batch.to(device)).cpu() for batch in images.split(batch_size)])


def _scores(part: Part, data: Data, classifier: Classifier) -> list[Score]:
    """The classifier's accuracy on a part as floats, and as the PNGs hold it."""
    shares = "share of the part's images that the classifier gives their label; 95 % Wilson interval"
    found = [
        ("accuracy", _accuracy(part, "prediction_after"), len(part.rows), shares),
        (
            "accuracy_8bit",
            _accuracy(part, "prediction_after_8bit"),
            len(part.rows),
            f"{shares}; images rounded to 8 bits",
        ),
    ]
    seed = int(part.rows["seed"].iloc[0])
    name = f"{data.name}/train {data.train.digest}"
    return score_rows(found, subject=classifier.name, data=name, setting=part.name, seed=seed)


def _accuracy(part: Part, column: str) -> Estimate:
    return rate(torch.from_numpy((part.rows[column] == part.rows["label"]).to_numpy(copy=True)))


def _findings(parts: list[Part], data: Data, config: AugmentConfig) -> list[Finding]:
    counts = [part.rows["label"].value_counts() for part in parts if part.name == GENERATED]
    return [
        finding
        for found in counts
        for finding in shortfall_findings(
            [int(found.get(number, 0)) for number in range(data.num_classes)],
            _quotas(data, config),
            data.classes,
            min_confidence=config.min_confidence,
        )
    ]


def _panels(folder: Path, parts: list[Part]) -> list[Panel]:
    groups = {part.name: part.images[:: max(1, len(part.images) // SHOWN)][:SHOWN] for part in parts}
    return [grids_panel(folder, groups, title="What each part looks like", name="parts", columns=8)]


def _note(score: Score, config: AugmentConfig) -> str:
    """What a reader must know of a part's accuracy, which is no praise of the images where it chose them."""
    notes = {
        REAL: "training images",
        GENERATED: f"high by choice: kept are images to whose label it gives {config.min_confidence:g} or more",
    }
    return notes.get(score.setting, "attacked training images")


def _is_headline(score: Score) -> bool:
    return score.metric == "accuracy"
