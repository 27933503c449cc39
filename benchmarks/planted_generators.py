"""What the scores say of generators with a known fault: a table of scores and warnings, a row per fault.

    python benchmarks/planted_generators.py --data ~/data/mnist --half-trained CHECKPOINT --out FILE.md

A planted generator has `--real` training images. Faulty images are made of real ones that neither the classifier was
trained on nor the control of the scores holds: of held-out images a part is put aside for them.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data
from advgan.sampling.stored import load_gan
from attacks.random import permutation
from benchmarks.plantings import PLANTINGS, Planting, half_trained
from benchmarks.result_page import write_page
from evaluation.inputs import Source, open_source
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.setup import Setup
from evaluation.metric_words import wanted_metrics
from evaluation.record.scores import Score, word_of
from evaluation.scoring import Scored, score_source
from evaluation.seeing.reference import Reference

GROUPS = ("fidelity", "neighbours", "modes", "diversity", "memorisation")
COLUMNS = {
    "fid": "fd",
    "kid": "kid",
    **{word: word for word in ("precision", "recall", "coverage")},
    "modes_covered": "modes",
    "mode_kl": "mode_kl",
    "vendi": "vendi/real",
    **{word: word for word in ("ndb", "train_preference", "copying_z", "authenticity")},
}
"""Words of metrics, and what stands above them."""
HEADER = ("planted fault", "n", *COLUMNS.values(), "warnings", "infos")
PLANTED = 5 / 8
"""Share of the held-out images that plantings are made of; the rest are the control."""


def parts(data: Data, num_real: int, seed: int) -> tuple[Data, ImageSet]:
    """What a generator is held against, training images and a control, and new images to plant, all disjoint."""
    held_out = Reference(data, None).held_out_images  # type: ignore[arg-type]
    order = permutation(seed, len(held_out))
    planted, control = (held_out.select(rows) for rows in order.tensor_split([round(PLANTED * len(held_out))]))
    train = data.train.draw(num_real, seed)
    return Data(data.name, train, held_out.select([]), control), planted


def scored(reference: Reference, plantings: Mapping[str, Planting], new: ImageSet, count: int) -> Iterator[Scored]:
    """Score each planting in turn."""
    for name, plant in plantings.items():
        images = plant(reference.data.train, new, count, reference.seed)
        source = open_source(ImageSet(images, torch.zeros(len(images), dtype=torch.int64), (), name))
        assert isinstance(source, Source)
        found = score_source(source, [reference], wanted=wanted_metrics(GROUPS), seed=reference.seed)
        assert found is not None
        yield found


def row(found: Scored) -> str:
    """One line of the table."""
    scores = {word_of(score.metric): score for score in found.scores}
    cells = [_cell(word, scores) for word in COLUMNS]
    codes = [
        ", ".join(finding.code for finding in found.findings if finding.level == level) or "none"
        for level in ("warning", "info")
    ]
    return f"| {' | '.join((found.source.name, f'{found.source.count:,}', *cells, *codes))} |"


def _cell(word: str, scores: Mapping[str, Score]) -> str:
    score = scores.get(word)
    if score is None:
        return "–"
    if word == "vendi":
        return f"{score.value / scores['vendi_real'].value:.2f}"
    if word == "fid":
        return f"{score.value:.4g} [{score.low:.4g}, {score.high:.4g}]"
    return f"{score.value:.3g}"


@click.command()
@click.option("--data", required=True, help="Images by class; their classifier sees them, fitted if there is none.")
@click.option("--half-trained", "checkpoints", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--samples", default=2000, help="Images of each planted generator.")
@click.option("--real", default=10_000, help="Training images of the planted generators.")
@click.option("--seed", default=0)
@click.option("--out", type=click.Path(path_type=Path), help="A Markdown file; without it, stdout.")
def main(data: str, checkpoints: tuple[Path, ...], samples: int, real: int, seed: int, out: Path | None) -> None:
    """Score every planting by one thread, and write the table."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        images = load_data(DataConfig(source=str(Path(data).expanduser())))
        extractor = choose_extractor("auto", images, Setup(device="cpu"))
        known, new = parts(images, real, seed)
        reference = Reference(known, extractor, seed=seed, num_real=real)
        plantings = PLANTINGS | {
            f"half-trained {load_gan(path).networks.family}": half_trained(path) for path in checkpoints
        }
        lines = [
            f"# Planted generators of {images.name}, {datetime.now(UTC):%Y-%m-%d}\n",
            f"{len(known.train):,} training images, {len(known.test):,} held-out ones as control, and {len(new):,} "
            f"others that faults are planted into; extractor {extractor.name} {extractor.digest}; seed {seed}. Made by "
            "`benchmarks/planted_generators.py`.\n",
            f"| {' | '.join(HEADER)} |",
            f"|{'---|' * len(HEADER)}",
        ]
        for found in scored(reference, plantings, new, samples):
            lines.append(row(found))
            click.echo(lines[-1], err=True)
    write_page(lines, out)


if __name__ == "__main__":
    main()
