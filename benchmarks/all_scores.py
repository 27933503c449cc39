"""What all scores cost beside looking at the images: Inception's features of N images, then every default metric.

    python benchmarks/all_scores.py --samples 10000

The network has random weights, which take as long as the trained ones; its time is measured on a few batches and
counted for N generated images (real ones come from the cache). The scores are computed on features of the same shape.
CPU seconds of one thread, so that other jobs on the machine matter little.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import click
import torch
from threadpoolctl import threadpool_limits
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks.random import normal
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.generators import ROWS
from evaluation.metric_words import wanted_metrics

MODULE = "torch_fidelity.feature_extractor_inceptionv3"
BATCH, BATCHES = 16, 4
FEATURES, CLASSES = 2048, 1008


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this thread's work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def extraction(size: int) -> float:
    """CPU seconds an image of Inception-v3 at 299 pixels, resize included."""
    with (
        patch(f"{MODULE}.load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None),
    ):
        network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    images = torch.randint(0, 256, (BATCH, 3, size, size), dtype=torch.uint8)

    @torch.no_grad()
    def look() -> None:
        network(images)

    look()
    return seconds(lambda: [look() for _ in range(BATCHES)]) / (BATCH * BATCHES)


def seen(count: int) -> Seen:
    """Features with the spectrum of a trained network's, all of one distribution but the fakes, which are shifted."""
    scale = 1 / torch.arange(1, FEATURES + 1).sqrt()

    def sample(seed: int, shift: float) -> Sample:
        values = (normal(seed, torch.arange(count), (FEATURES,)) * scale + shift).relu()
        probabilities = normal(seed + 10, torch.arange(count), (CLASSES,)).double().softmax(dim=1)
        return Sample(features=Features(values, probabilities, "inception", "random"))

    return Seen(real=sample(0, 0.0), fake=sample(1, 0.02), held_out=sample(2, 0.0))


@click.command()
@click.option("--samples", default=10_000, help="Generated, real and held-out images each.")
@click.option("--size", default=32, help="Side of the images in pixels.")
def main(samples: int, size: int) -> None:
    """Print a table of CPU seconds, and the ratio of all to looking alone."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        measure(samples, size)


def measure(samples: int, size: int) -> None:
    """Print the rows as they are measured."""
    look = extraction(size) * samples
    click.echo(f"| N = {samples:,}, one thread | CPU s |\n|---|---|")
    click.echo(f"| Inception-v3, looking at the generated images | {look:.0f} |")
    found, total = seen(samples), 0.0
    for rows_of in ROWS:
        spent = seconds(lambda rows_of=rows_of: rows_of(found, wanted_metrics(())))  # type: ignore[misc]
        total += spent
        click.echo(f"| {rows_of.__name__} | {spent:.1f} |")
    click.echo(f"| all scores together | {total:.0f} |")
    click.echo(f"| (looking + scores) / looking | {(look + total) / look:.3f} |")


if __name__ == "__main__":
    main()
