"""`advgan eval`: score generators and their discriminators, each image seen once by each network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from pydantic import Field, field_validator
from torch import Tensor

from advgan.config import DataConfig, Section
from advgan.data import Data, ImageSet, load_data
from advgan.generators import TrainedGan, load_gan
from advgan.models.interface import Discriminator
from advgan.ranges import to_signed
from advgan.sampling import sample, sample_labels
from attacks.random import permutation
from evaluation.discriminator import Judgements, View, discriminator_scores, judge, view_of
from evaluation.discriminator_findings import discriminator_findings
from evaluation.features import Extractor, Features, extract
from evaluation.findings import Finding
from evaluation.generator_findings import generator_findings
from evaluation.generators import METRICS, score_generator
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.jobs.sources import data_of
from evaluation.modes import modes
from evaluation.own_points import POINT_METRICS, own_scores
from evaluation.points import MODE_METRICS, mode_scores
from evaluation.report.panels import BarPanel, Bars, Panel
from evaluation.report.pictures import grids_panel
from evaluation.report.results import Headline, Results
from evaluation.report.text import format_score
from evaluation.scores import Score

NUM_REAL = 10_000
"""Real images that fakes are compared with, at most; more cost time and hardly narrow the intervals."""
SHOWN = 80
MOST_BARS = 100
"""Classes that a chart of their shares can show."""
HEADLINE = (
    "fid",
    "modes_covered",
    "high_quality",
    "reverse_kl",
    "code_accuracy",
    "class_accuracy",
    "precision",
    "recall",
    "label_agreement",
)


class EvalConfig(Section):
    """What `advgan eval` scores, and against which images."""

    checkpoints: tuple[str, ...] = ()
    data: DataConfig | None = None
    """None: the data that the first generator was trained on."""
    features: str = "auto"
    """What sees the images: `auto` (a classifier of this data), `inception`, or a classifier's run."""
    metrics: tuple[str, ...] = ()
    """Names of METRICS, MODE_METRICS and POINT_METRICS, or `discriminator`; empty: all."""
    num_samples: int = Field(default=2000, ge=10)
    """Generated images."""
    batch_size: int = Field(default=256, ge=1)
    seed: int = Field(default=0, ge=0)

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = (*METRICS, *MODE_METRICS, *POINT_METRICS, "discriminator")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"no metric {unknown[0]!r}; known: {', '.join(known)}")
        return names


@dataclass(frozen=True)
class Scored:
    """Everything that one generator's evaluation found."""

    subject: str
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    headline: tuple[Score, ...]
    real: Features
    fake: Features
    samples: Tensor
    """The first generated images, to show."""


class Reference:
    """The images that fakes are held against: training ones for distances, held-out ones for the discriminator."""

    def __init__(self, data: Data, extractor: Extractor, *, seed: int = 0, batch_size: int = 256) -> None:
        self.data, self.extractor, self.seed, self.batch_size = data, extractor, seed, batch_size

    @cached_property
    def real(self) -> Features:
        """Features of the training images, or of a seeded draw of them."""
        chosen = _drawn(self.data.train, NUM_REAL, self.seed)
        return extract(self.extractor, (chosen.unit(rows) for rows in torch.arange(len(chosen)).split(self.batch_size)))

    def judged(
        self, discriminator: Discriminator, fakes: Tensor, labels: Tensor | None, view: View = to_signed
    ) -> Judgements:
        """What the discriminator says of training images, held-out ones, and these fakes; as many of each at most."""
        held_out = _joined(self.data.validation, self.data.test)
        conditional = labels is not None

        def logits(images: ImageSet) -> Tensor:
            # In a random order: a discriminator with batch norm must not see a class at a time.
            some = images.draw(len(fakes), self.seed)
            given = some.labels if conditional else None
            return judge(discriminator, some.unit(), given, batch_size=self.batch_size, view=view)

        fake = judge(discriminator, fakes, labels, batch_size=self.batch_size, view=view)
        return Judgements(logits(self.data.train), logits(held_out), fake)


def evaluate_gan(
    gan: TrainedGan, reference: Reference, *, num_samples: int, seed: int = 0, metrics: Sequence[str] = ()
) -> Scored:
    """Draw fakes once, look at them once, and compute every score and finding from that."""
    data = reference.data
    _check_fits(gan, data)
    subject = f"{gan.networks.family} {gan.digest}"
    name = f"{data.name}/train {data.train.digest}"
    indices = torch.arange(num_samples)
    labels = sample_labels(gan.generator, indices)
    fakes = sample(gan.generator, indices, seed=seed, batch_size=reference.batch_size, device="cpu")
    fake = extract(reference.extractor, fakes, batch_size=reference.batch_size)
    scores = score_generator(reference.real, fake, labels=labels, subject=subject, data=name, seed=seed)
    if (data.train.are_points or data.parts is not None) and not fake.is_inception:
        scores += mode_scores(fake, subject=subject, data=name, seed=seed)
    if not metrics or POINT_METRICS.keys() & set(metrics):
        scores += own_scores(gan, data, fakes, fake, labels, subject=subject, name=name, seed=seed)
    findings = generator_findings(reference.real, fake, scores, labels=labels, classes=data.classes)
    diagnostics: list[Score] = []
    if gan.discriminator is not None:
        loss, view = gan.game.training.loss, view_of(gan.generator, packing=gan.game.networks.packing)
        judged = reference.judged(gan.discriminator, fakes, labels, view)
        findings += discriminator_findings(judged, loss=loss, seed=seed)
        if judged.finite:
            diagnostics = discriminator_scores(judged, loss=loss, subject=subject, data=name, seed=seed)
    scores = [score for score in scores if not metrics or _word(score) in metrics]
    diagnostics = diagnostics if not metrics or "discriminator" in metrics else []
    return Scored(
        subject=subject,
        scores=(*scores, *diagnostics),
        findings=tuple(findings),
        headline=tuple(score for word in HEADLINE for score in scores if _word(score) == word) or tuple(scores[:5]),
        real=reference.real,
        fake=fake,
        samples=fakes[:SHOWN],
    )


def plan(config: EvalConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    gans, data = _read(config, setup)
    return [data.summary(), *(f"{gan.path}: {config.num_samples:,} images" for gan in gans)]


def run(config: EvalConfig, setup: Setup) -> Outcome:
    """Score every generator by the same images and the same features."""
    gans, data = _read(config, setup)
    extractor = choose_extractor(config.features, data, setup)
    reference = Reference(data, extractor, seed=config.seed, batch_size=config.batch_size)
    scored = []
    for gan in gans:
        log.info("scoring %s", gan.path)
        found = evaluate_gan(gan, reference, num_samples=config.num_samples, seed=config.seed, metrics=config.metrics)
        scored.append(found)
    run = setup.create_run(
        "eval", data.name, config.model_copy(update={"data": data_of(config.data, *config.checkpoints)})
    )
    results = Results(
        command="eval",
        title=f"Generators of {data.name}",
        run=str(run.folder),
        created=now(),
        verdict="; ".join(f"{one.subject}: {_line(one)}" for one in scored),
        header=(
            ("data", data.summary()),
            *((f"generator {number}", f"{gan.path} ({gan.digest})") for number, gan in enumerate(gans, start=1)),
            ("extractor", f"{extractor.name} {extractor.digest}"),
            ("generated images", f"{config.num_samples:,} each, seed {config.seed}"),
        ),
        headline=tuple(Headline(score.metric, score, one.subject) for one in scored for score in one.headline[:4]),
        scores=tuple(score for one in scored for score in one.scores),
        findings=tuple(finding for one in scored for finding in one.findings),
        panels=tuple(panel for one in scored for panel in generator_panels(run.folder, one, data)),
        versions=versions(),
    )
    return finish(run, results)


def generator_panels(folder: Path, scored: Scored, data: Data) -> list[Panel]:
    """Real images beside generated ones, and how often each class is generated."""
    found = modes(scored.real, scored.fake)
    columns = grid_columns(data.num_classes)
    shown = scored.samples[: columns * max(1, SHOWN // columns)]
    real = data.train.unit(permutation(0, len(data.train))[: len(shown)])
    panels: list[Panel] = [
        grids_panel(
            folder,
            {"real": real, "generated": shown},
            title=f"Real beside generated, {scored.subject}",
            name=f"grid-{scored.subject.replace(' ', '-')}",
            section="Generator",
            columns=columns,
        )
    ]
    if not scored.real.is_inception and data.num_classes <= MOST_BARS:
        counts = {"real": found.real_counts, "generated": found.fake_counts}
        panels.append(
            BarPanel(
                title=f"Classes, {scored.subject}",
                section="Generator",
                caption=f"Share of images that {scored.real.extractor} assigns to each class.",
                categories=data.classes,
                series=tuple(Bars(name=name, values=_shares(count)) for name, count in counts.items()),
                y_label="share",
                percent=True,
            )
        )
    return panels


def _read(config: EvalConfig, setup: Setup) -> tuple[list[TrainedGan], Data]:
    if not config.checkpoints:
        raise ValueError("nothing to score: name the run of a GAN with --ckpt (advgan ls runs lists them)")
    gans = [load_gan(Path(path), device=setup.torch_device()) for path in config.checkpoints]
    data = load_data(data_of(config.data, *config.checkpoints), workers=setup.workers)
    for gan in gans:
        _check_fits(gan, data)
    return gans, data


def _check_fits(gan: TrainedGan, data: Data) -> None:
    if (gan.size, gan.channels) != (data.size, data.channels):
        raise ValueError(
            f"{gan.path} draws {gan.size}x{gan.size} images with {gan.channels} channel(s), {data.name} has "
            f"{data.size}x{data.size} with {data.channels}: give the --data that it was trained on ({gan.data_name})"
        )


def _word(score: Score) -> str:
    """The name in METRICS of a score: `fid` for `fd[cnn]`."""
    stem = score.metric.partition("[")[0]
    word = stem.replace("fd", "fid", 1) if stem.startswith("fd") else stem
    return "inception_score" if word == "classifier_score" else word


def _line(scored: Scored) -> str:
    return ", ".join(f"{score.metric} {format_score(score)}" for score in scored.headline[:2])


def _drawn(images: ImageSet, most: int, seed: int) -> ImageSet:
    return images if len(images) <= most else images.select(permutation(seed, len(images))[:most].sort().values)


def _joined(first: ImageSet, second: ImageSet) -> ImageSet:
    images, labels = torch.cat([first.images, second.images]), torch.cat([first.labels, second.labels])
    return ImageSet(images, labels, first.classes, first.name)


def grid_columns(num_classes: int) -> int:
    """One column a class, in which a conditional generator draws them by default, where that is a readable width."""
    return num_classes if 2 <= num_classes <= 16 else 10


def _shares(counts: Tensor) -> tuple[float, ...]:
    return tuple((counts.double() / counts.sum().clamp(min=1)).tolist())
