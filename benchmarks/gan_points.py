"""What each preset is for, as a number on real data beside its control: a row of Markdown for every finished run.

    python benchmarks/gan_points.py runs/train/00001-mnist runs/train/00002-mnist

A run's networks decide what its point is: codes of an InfoGAN, the classifier inside a semi-supervised GAN, labels that
a conditional generator follows, the truncation of BigGAN, bicubic interpolation beside LAPGAN, the modes that packing
covers, the curve of a Wasserstein critic, and for the others what a linear classifier learns from their features. All
numbers are of the run's best checkpoint and of samples 0 to n - 1, with 95 % intervals.
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.config import Baseline, DataConfig
from advgan.data import load_data
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan, load_gan
from advgan.storage.runs import Run
from attacks.random import permutation
from evaluation.features.features import Features, extract
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.setup import Setup
from evaluation.jobs.sources import data_of
from evaluation.jobs.train.loop import looks
from evaluation.latent.truncation_curve import trades_monotonically, truncation_curve
from evaluation.modes.modes import label_agreement, modes, shuffled_agreement
from evaluation.modes.points import mode_scores
from evaluation.own.rows import own_scores
from evaluation.own.upsampling import bicubic_control
from evaluation.record.scores import Score, score_rows
from evaluation.report.results import Results
from evaluation.report.text import format_interval, format_score
from evaluation.seeing.reference import Reference
from evaluation.statistics.intervals import Estimate
from evaluation.watching.critic_curve import critic_correlation

REAL_OF_A_CURVE = 2_000
"""Real images of a truncation curve, which compares them with the samples of every threshold."""


class Look(NamedTuple):
    """A run with its generator, and what was drawn from it and seen in that."""

    run: Run
    gan: TrainedGan
    reference: Reference
    fakes: Tensor
    fake: Features
    labels: Tensor | None
    seed: int


class Point(NamedTuple):
    """What a preset shows, and what it would be without the preset's idea."""

    shown: str
    control: str = "–"


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-n", "--num-samples", default=2000, show_default=True, help="Generated images of each run.")
@click.option("--seed", default=0, show_default=True)
def main(runs: tuple[Path, ...], num_samples: int, seed: int) -> None:
    """Print the table row by row."""
    torch.set_num_threads(1)
    columns = ("run", "data", "steps", "seconds", "Fréchet distance", "modes", "own point", "control")
    click.echo(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for folder in runs:
        try:
            click.echo(row(look(folder, num_samples, seed)))
        except ValueError as error:  # of another version, or unfinished: the other runs still count
            click.echo(f"{folder} is left out: {error}", err=True)


def row(found: Look) -> str:
    """One run's line."""
    gan, real, fake = found.gan, found.reference.real, found.fake
    distance = frechet_estimate(real.values, fake.values, seed=found.seed)
    covered = modes(real, fake)
    shown = list(points(found))
    cells = (
        found.run.folder.name,
        f"{gan.data_name} {gan.size}x{gan.size}",
        f"{gan.step:,}",
        seconds(found.run),
        told(distance, len(fake), f"fd[{fake.extractor}]"),
        f"{covered.covered} of {int((covered.real_counts > 0).sum())}",
        "<br>".join(point.shown for point in shown) or "–",
        "<br>".join(point.control for point in shown) or "–",
    )
    return f"| {' | '.join(cells)} |"


def look(folder: Path, num_samples: int, seed: int) -> Look:
    """Read a run, draw its samples, and look at them once."""
    gan, reference = load_gan(folder), referred(data_of(None, str(folder)))
    indices = torch.arange(num_samples)
    fakes = sample(gan.generator, indices, seed=seed, device="cpu")
    fake = extract(reference.extractor, fakes)
    return Look(Run(folder), gan, reference, fakes, fake, sample_labels(gan.generator, indices, seed=seed), seed)


@cache
def referred(source: DataConfig) -> Reference:
    """The data with a classifier that sees them; runs of the same data share it."""
    data = load_data(source)
    return Reference(data, choose_extractor("auto", data, Setup(device="cpu")))


def points(found: Look) -> Iterator[Point]:
    """Everything that this kind of GAN is for."""
    gan, data = found.gan, found.reference.data
    scores = {score.metric: score for score in own_scores(gan, data, found.fakes, found.labels, seed=found.seed)}
    if found.labels is not None:
        agreement = told(label_agreement(found.fake, found.labels), len(found.fake), "label_agreement")
        control = shuffled_agreement(found.fake, found.labels, seed=found.seed)
        shuffled = told(control, len(found.fake), "label_agreement_shuffled")
        yield Point(f"label agreement {agreement}", f"shuffled labels {shuffled}")
    if "code_accuracy" in scores:
        untaught = f"random head {brief(scores['code_accuracy_random'])}"
        yield Point(f"categorical code sorts real images {format_score(scores['code_accuracy'])}", untaught)
    for name, score in scores.items():
        if name.startswith("code_correlation"):
            yield Point(f"{name.replace('_', ' ')} {score.value:.3f} {format_interval(score)}, n={score.samples}")
    if "class_accuracy" in scores:
        pixels = scores.get("class_accuracy_pixels")
        control = f"logistic regression on pixels, same labels {brief(pixels)}" if pixels else "–"
        yield Point(f"test accuracy of its classifier {format_score(scores['class_accuracy'])}", control)
    yield from special(found)
    if "probe_accuracy" in scores:
        pixels, untrained = scores["probe_accuracy_pixels"], scores["probe_accuracy_untrained"]
        controls = f"pixels {brief(pixels)}; before training {brief(untrained)}"
        yield Point(f"probe of its features {format_score(scores['probe_accuracy'])}", controls)


def special(found: Look) -> Iterator[Point]:
    """The points that take more than the samples at hand."""
    gan, data = found.gan, found.reference.data
    if not found.fake.is_inception and (data.train.are_points or data.parts is not None):
        yield Point("; ".join(f"{score.metric} {brief(score)}" for score in mode_scores(found.fake)))
    if isinstance(gan.networks, Baseline):
        return
    if gan.networks.family == "lapgan":
        yield against_bicubic(found)
    if gan.networks.family == "biggan":
        yield truncated(found)
    if gan.training is not None and gan.training.loss == "wasserstein":
        yield curve(found)


def against_bicubic(found: Look) -> Point:
    """The same distance of true coarse images enlarged without a network, as many as there are samples."""
    test = found.reference.data.test
    chosen = test.select(permutation(found.seed, len(test))[: len(found.fakes)])
    control = extract(found.reference.extractor, bicubic_control(chosen.unit()))
    ours, theirs = (
        frechet_estimate(found.reference.real.values, seen.values, seed=found.seed) for seen in (found.fake, control)
    )
    word = f"fd[{control.extractor}]"
    return Point(
        f"Fréchet distance {told(ours, len(found.fake), word)}",
        f"true coarse images enlarged bicubically {told(theirs, len(control), word)}",
    )


def truncated(found: Look) -> Point:
    """Precision and recall at each threshold, rising."""
    train = found.reference.data.train
    chosen = train.unit(permutation(found.seed, len(train))[:REAL_OF_A_CURVE])
    real = extract(found.reference.extractor, chosen)
    curve = truncation_curve(
        found.gan.generator, real, found.reference.extractor, num_samples=len(found.fakes), seed=found.seed
    )
    steps = [f"{point.threshold or 'none'}: {point.precision.value:.3f} / {point.recall.value:.3f}" for point in curve]
    kind = "monotone" if trades_monotonically(curve) else "not monotone"
    return Point(f"truncation, precision / recall: {', '.join(steps)} (n={len(found.fakes)}, {kind})")


def curve(found: Look) -> Point:
    """Minus the critic's loss with the distance, over the looks of the training."""
    rows = looks(found.run.rows())
    result = critic_correlation(
        [line["discriminator_loss"] for line in rows], [line["distance"] for line in rows], seed=found.seed
    )
    return Point(
        f"rank correlation of minus the critic's loss with the distance {result.value:.2f}, {result.looks} looks",
        f"permuted looks do as well with p = {result.p_value:.2g}",
    )


def told(estimate: Estimate, count: int, metric: str) -> str:
    """An estimate as a score is shown."""
    return format_score(score_rows([(metric, estimate, count, "")], subject="", data="", setting="", seed=0)[0])


def brief(score: Score) -> str:
    """Value and interval; the size is that of the number beside it."""
    return format_score(score).rpartition(", n=")[0]


def seconds(run: Run) -> str:
    """From the folder's first file to its results, scoring included; a copied folder does not tell."""
    try:
        ended = datetime.fromisoformat(Results.load(run.folder).created).timestamp()
    except (OSError, ValueError):
        return "–"
    spent = ended - (run.folder / "env.json").stat().st_mtime
    return f"{spent:,.0f}" if spent > 0 else "–"


if __name__ == "__main__":
    main()
