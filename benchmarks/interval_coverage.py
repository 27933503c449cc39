"""How often 95 % intervals of a generator's scores hold what they are about, by how the images were drawn.

    python benchmarks/interval_coverage.py --trials 200 --out FILE.md

A population of Gaussian classes stands for the features: real images are dealt out by class or drawn independently, a
generator draws its classes independently or has them dealt out too, and it is perfect or too narrow and off the mark.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.result_page import write_page
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.frechet import frechet_from_statistics
from evaluation.generators import generator_rows
from evaluation.record.scores import word_of
from evaluation.statistics.intervals import Estimate

WORDS = ("fid", "kid", "fid_infinity", "precision", "recall", "density", "coverage", "inception_score")
LIMITS = ("kid", "fid_infinity")
"""Whose intervals are about the limit of infinitely many images; those of the others, about these sample sizes."""
DIM, REAL, FAKE = 12, 400, 300
EVEN = (0.35, 0.25, 0.2, 0.1, 0.1)
UNEVEN = (0.9, 0.1)
ASKED = "classes drawn independently in the shares of the real images"


class Population(NamedTuple):
    """Classes with their shares and centres; every class has the identity for a covariance."""

    shares: Tensor
    centres: Tensor

    @classmethod
    def of(cls, shares: Sequence[float], spread: float = 2.5) -> "Population":
        """Centres that do not depend on the trial."""
        drawn = torch.randn(len(shares), DIM, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        return cls(torch.tensor(shares, dtype=torch.float64), spread * drawn)

    def moments(self, scale: float, shift: float) -> tuple[Tensor, Tensor]:
        """Mean and covariance of what a generator of that scale and shift draws."""
        mean = self.shares @ self.centres
        apart = self.centres - mean
        return mean + shift, apart.T @ (self.shares[:, None] * apart) + scale**2 * torch.eye(DIM, dtype=torch.float64)

    def images(self, labels: Tensor, generator: torch.Generator, scale: float = 1.0, shift: float = 0.0) -> Features:
        """Features of images of these classes, and the classifier that knows the population."""
        noise = torch.randn(len(labels), DIM, generator=generator, dtype=torch.float64)
        rows = self.centres[labels] + scale * noise + shift
        sure = (self.shares.log() - torch.cdist(rows, self.centres).square() / 2).softmax(dim=1)
        return Features(rows, sure, "toy", "0")


class Design(NamedTuple):
    """How both sets get their classes."""

    shares: tuple[float, ...]
    real: str
    fake: str


DESIGNS = {
    "independent both": Design(EVEN, "drawn", "drawn"),
    "stratified real, class-conditional fakes": Design(EVEN, "dealt", "drawn"),
    "part of stratified real, class-conditional fakes": Design(EVEN, "part", "drawn"),
    "stratified both": Design(EVEN, "dealt", "dealt"),
    "90 to 10, stratified real, class-conditional fakes": Design(UNEVEN, "dealt", "drawn"),
    "90 to 10, stratified both": Design(UNEVEN, "dealt", "dealt"),
}
GENERATORS = {"perfect": (1.0, 0.0), "narrow and shifted": (0.8, 0.15)}
"""Scale of the noise within a class, and shift of every column."""


class Held(NamedTuple):
    """What the intervals of a metric did over the trials."""

    covered: float
    width: float
    """Mean width over that of an interval which knows the standard deviation: 3.92 of them."""
    value: float
    made: int
    """Trials with an interval."""


def seen(design: Design, generator: torch.Generator, *, scale: float, shift: float, seed: int) -> Seen:
    """One trial: real images, and what the generator draws."""
    population = Population.of(design.shares)
    labels, drawn_from = _labels(design.real, population.shares, REAL, generator)
    real = Sample(features=population.images(labels, generator), labels=labels, drawn_from=drawn_from)
    wanted, _ = _labels(design.fake, population.shares, FAKE, generator)
    fakes = population.images(wanted, generator, scale, shift)
    fake = Sample(features=fakes, labels=wanted, asked=ASKED if design.fake == "drawn" else "")
    return Seen(real=real, fake=fake, seed=seed)


def trials(
    design: Design, words: Sequence[str], count: int, *, scale: float, shift: float
) -> dict[str, list[Estimate]]:
    """The estimates of each metric in that many trials."""
    generator, found = torch.Generator().manual_seed(1), {word: list[Estimate]() for word in words}
    for number in range(count):
        made = generator_rows(seen(design, generator, scale=scale, shift=shift, seed=number), words)
        for metric, estimate, *_ in made.rows:
            found[word_of(metric)].append(estimate)
    return found


def held(estimates: Sequence[Estimate], truth: float | None) -> Held:
    """Against the truth, or the mean over the trials where that is what intervals are about."""
    values, low, high = np.array(estimates).T
    aim, known = values.mean() if truth is None else truth, ~np.isnan(low)
    covered = ((low <= aim) & (aim <= high))[known].mean() if known.any() else math.nan
    widths = (high - low)[known].mean() if known.any() else math.nan
    return Held(float(covered), float(widths / (3.92 * max(values.std(ddof=1), 1e-12))), float(aim), int(known.sum()))


def simulate(
    count: int, words: Sequence[str] = WORDS, told: Callable[[str], None] = lambda name: None
) -> Iterator[tuple[str, str, dict[str, Held]]]:
    """Design, generator, and what became of each metric."""
    for name, design in DESIGNS.items():
        for generator, (scale, shift) in GENERATORS.items():
            told(f"{name}, {generator}")
            truths = {"kid": 0.0 if generator == "perfect" else None, "fid_infinity": distance(design, scale, shift)}
            found = trials(design, words, count, scale=scale, shift=shift)
            yield name, generator, {word: held(each, truths.get(word)) for word, each in found.items()}


def distance(design: Design, scale: float, shift: float) -> float:
    """The Fréchet distance of the populations."""
    population = Population.of(design.shares)
    return frechet_from_statistics(population.moments(1.0, 0.0), population.moments(scale, shift))


def _labels(way: str, shares: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, int]:
    """Classes of a set, and how many it is a draw of."""
    if way == "drawn":
        return torch.multinomial(shares, count, replacement=True, generator=generator), 0
    whole = 2 * count if way == "part" else count
    labels = torch.arange(len(shares)).repeat_interleave((shares * whole).round().long())
    return labels[torch.randperm(whole, generator=generator)[:count]], whole if way == "part" else 0


@click.command()
@click.option("--trials", "count", default=200, help="Of each design and generator.")
@click.option("--metrics", default=",".join(WORDS), help="Words, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), help="A Markdown file; without it, stdout.")
def main(count: int, metrics: str, out: Path | None) -> None:
    """Simulate by one thread, and write the table."""
    torch.set_num_threads(1)
    words = metrics.split(",")
    lines = [
        f"# Coverage of 95 % intervals, {datetime.now(UTC):%Y-%m-%d}\n",
        f"{count} trials a row; {REAL} real and {FAKE} generated images of {DIM} features. In each cell: share of "
        "intervals that hold what they are about, and their mean width over that of an interval which knows the "
        "standard deviation. Made by `benchmarks/interval_coverage.py`.\n",
        f"| design | generator | {' | '.join(words)} |",
        f"|{'---|' * (len(words) + 2)}",
    ]
    for design, generator, found in simulate(count, words, lambda name: click.echo(name, err=True)):
        cells = [f"{100 * found[word].covered:.0f} %, {found[word].width:.2f}" for word in words]
        lines.append(f"| {design} | {generator} | {' | '.join(cells)} |")
        click.echo(lines[-1], err=True)
    write_page(lines, out)


if __name__ == "__main__":
    main()
