"""Modes that a GAN and its packed twin find on a point set, seed by seed (Lin et al., 2018, table 1).

    python benchmarks/pacgan.py --preset grid --seeds 10

The preset's recipe is trained to its last step with its packing and without; the batch has as many packs in both. A
mode is captured by a sample within three standard deviations of it; 2,500 samples of the last generator.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import click
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.data import Data, load_data
from advgan.gan.state import start
from advgan.gan.training import train
from advgan.sampling.drawing import sample
from evaluation.features.features import extract
from evaluation.jobs.train.config import TrainConfig
from evaluation.modes.points import high_quality, modes_captured, points_extractor, reverse_kl

SAMPLES = 2_500
Found = tuple[int, float, float]
"""Modes, share of high quality, reverse KL of the modes from equal shares."""


@click.command(help=__doc__)
@click.option("--preset", default="grid", show_default=True)
@click.option("--seeds", default=10, show_default=True)
@click.option("--first-seed", default=0, show_default=True)
def main(preset: str, seeds: int, first_seed: int) -> None:
    """Print the table row by row."""
    torch.set_num_threads(1)
    config = resolve(TrainConfig, file=preset_file("train", preset))
    data = load_data(config.data)
    click.echo(f"| seed | GAN: modes, high quality, reverse KL, s | packing {config.networks.packing}: the same |")
    click.echo("|---|---|---|")
    table: list[tuple[Found, Found]] = []
    for seed in range(first_seed, first_seed + seeds):
        row, cells = [], []
        for packing in (1, config.networks.packing):
            began = time.perf_counter()
            row.append(trained(config, data, packing=packing, seed=seed))
            modes, share, divergence = row[-1]
            cells.append(f"{modes}, {share:.1%}, {divergence:.3f}, {time.perf_counter() - began:.0f}")
        table.append((row[0], row[1]))
        click.echo(f"| {seed} | {' | '.join(cells)} |")
    click.echo(f"| mean, ± standard error | {' | '.join(map(summary, zip(*table, strict=True)))} |")


def summary(found: Sequence[Found]) -> str:
    """Means over the seeds, that of the modes with its standard error."""
    modes, shares, divergences = zip(*found, strict=True)
    error = f" ± {stdev(modes) / len(modes) ** 0.5:.1f}" if len(modes) > 1 else ""
    return f"{mean(modes):.1f}{error}, {mean(shares):.1%}, {mean(divergences):.3f}"


def trained(config: TrainConfig, data: Data, *, packing: int, seed: int) -> Found:
    """Train one GAN and look at its last generator."""
    packs = config.training.batch_size // config.networks.packing
    networks = config.networks.model_copy(update={"packing": packing})
    training = config.training.model_copy(update={"seed": seed, "batch_size": packs * packing})
    state = start(networks, training, size=data.size, channels=data.channels, num_classes=0)
    for _ in train(state, data.train, training):
        pass
    fakes = sample(state.generator.eval(), torch.arange(SAMPLES), seed=0, device="cpu")
    seen = extract(points_extractor(data.name), fakes)
    return modes_captured(seen), high_quality(seen).value, reverse_kl(seen).value


if __name__ == "__main__":
    main()
