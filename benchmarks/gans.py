"""Images a second of our training loop beside the loops of other codes, with the same networks on the same data.

    python benchmarks/gans.py --data ~/cifar10 --width 16
    python benchmarks/gans.py --data ~/cifar10 --width 64 --device cuda --steps 200 --cuda-graphs

Every pair runs in turn in one process, a round of ours and a round of theirs, several times; ratios are of medians.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import ImageSet, load_data
from advgan.gan.state import State, start
from advgan.gan.training import train
from advgan.machine.devices import pick_device
from benchmarks.gan_loops import examples_dcgan, mimicry_sngan

BATCH = 64
Loop = Callable[[State, ImageSet], Iterator[Any]]
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any], Loop, int]] = {
    "dcgan beside pytorch/examples": (
        {"family": "dcgan", "latent_dim": 100},
        {"loss": "non-saturating"},
        lambda state, data: examples_dcgan(state, data.images, batch_size=BATCH),
        1,
    ),
    "sngan beside mimicry": (
        {"family": "sngan", "latent_dim": 128},
        {"loss": "hinge", "discriminator_steps": 5, "beta1": 0.0, "beta2": 0.9},
        lambda state, data: mimicry_sngan(state, data.images, batch_size=BATCH),
        5,
    ),
}


@click.command(help=__doc__)
@click.option("--data", default="digits", show_default=True)
@click.option("--size", type=int, help="Side in pixels; default: as stored.")
@click.option("--width", default=16, show_default=True)
@click.option("--steps", default=20, show_default=True, help="Generator steps a round.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--only", type=click.Choice(["dcgan", "sngan"]), help="One pair instead of both.")
@click.option("--device", default="auto", show_default=True)
@click.option("--cuda-graphs", is_flag=True, help="Ours replays recorded passes.")
def main(
    data: str, size: int | None, width: int, steps: int, rounds: int, only: str | None, device: str, cuda_graphs: bool
) -> None:
    """Print a Markdown table, a row a pair."""
    place = pick_device(device)
    images = load_data(DataConfig(source=data, resize=size)).train
    print(f"{images.name}, {images.channels}x{images.size}x{images.size}, batch {BATCH}, width {width}, {place}")
    print("| networks and loop | ours, images/s | ours, ms a step | theirs, images/s | ratio of medians | of rounds |")
    print("|---|---|---|---|---|---|")
    for name, pair in PAIRS.items():
        if only and not name.startswith(only):
            continue
        ours, theirs = measure(pair, images, place, width=width, steps=steps, rounds=rounds, cuda_graphs=cuda_graphs)
        ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
        middle = statistics.median(ours), statistics.median(theirs)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        taken = 1000 * pair[3] * BATCH / middle[0]
        ratio = middle[0] / middle[1]
        print(f"| {name} | {middle[0]:.0f} | {taken:.1f} | {middle[1]:.0f} | {ratio:.2f} | {spread} |")


def measure(
    pair: tuple[dict[str, Any], dict[str, Any], Loop, int],
    data: ImageSet,
    device: torch.device,
    *,
    width: int,
    steps: int,
    rounds: int,
    cuda_graphs: bool,
) -> tuple[list[float], list[float]]:
    """Real images a second of both loops, a value a round."""
    networks = GanNetworks.model_validate({"width": width, **pair[0]})
    training = GanTraining.model_validate({"steps": 10**6, "batch_size": BATCH, "cuda_graphs": cuda_graphs, **pair[1]})
    shape = {"size": data.size, "channels": data.channels, "num_classes": 0}
    states = [start(networks, training, **shape, device=device) for _ in range(2)]
    loops = train(states[0], data, training), pair[2](states[1], data)
    for state in states:
        state.generator.train()
        state.discriminator.train()
    speeds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for loop, values in zip(loops, speeds, strict=True):
            began = time.perf_counter()
            for _ in islice(loop, steps):
                pass
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number:  # the first round warms up
                values.append(steps * pair[3] * BATCH / (time.perf_counter() - began))
    return speeds


if __name__ == "__main__":
    main()
