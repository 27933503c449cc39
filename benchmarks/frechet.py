"""Time of the Fréchet distance beside torch-fidelity's and scipy's matrix root, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/frechet.py --rounds 3

All start from the same means and covariances; what comes before, one product of the features, is the same for all. Each
round times every method in turn; the ratios are of medians of processor seconds, which other programs disturb least.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from scipy import linalg
from threadpoolctl import threadpool_limits
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks.random import normal
from evaluation.features.moments import Moments
from evaluation.fidelity.frechet import frechet_from_statistics
from evaluation.fidelity.frechet_floor import floor_from_covariance
from evaluation.fidelity.frechet_interval import frechet_noise

OURS, FIDELITY, ROOT = "ours", "torch-fidelity", "scipy sqrtm"


@click.command(help=__doc__)
@click.option("--columns", default=2048, show_default=True)
@click.option("--rows", default=5000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--root/--no-root", default=True, show_default=True, help="Time scipy's root, the slowest, as well.")
def main(columns: int, rows: int, rounds: int, root: bool) -> None:
    """Print a Markdown table, a row a method, then what interval and floor cost besides."""
    torch.set_num_threads(1)
    real, fake = drawn(0, rows, columns), drawn(1, rows, columns)
    moments = Moments.of(real), Moments.of(fake)
    pairs = [(part.mean, part.covariance()) for part in moments]
    methods: dict[str, Callable[[], float]] = {
        OURS: lambda: frechet_from_statistics(*pairs),
        FIDELITY: lambda: fidelity(*pairs),
        ROOT: lambda: with_root(*pairs),
    }
    if not root:
        del methods[ROOT]
    with threadpool_limits(limits=1):
        seconds, values = timed(methods, rounds)
        extra, _ = timed(
            {
                "its interval": lambda: frechet_noise(real, fake).linear,
                "its floor": lambda: floor_from_covariance(pairs[0][1], rows, rows).value,
            },
            1,
        )
    print(f"N = {rows}, D = {columns}, spectrum 1/k, float64, one thread, {rounds} rounds")
    print("| method | processor seconds | ours / this | value |")
    print("|---|---|---|---|")
    for name, spent in seconds.items():
        middle = statistics.median(spent)
        print(f"| {name} | {middle:.2f} | {statistics.median(seconds[OURS]) / middle:.3f} | {values[name]:.12g} |")
    print("; ".join(f"{name}: {spent[0]:.2f} s" for name, spent in extra.items()))


def drawn(seed: int, rows: int, columns: int) -> torch.Tensor:
    """Gaussian features with variances 1, 1/2, 1/3, ..."""
    scale = torch.arange(1, columns + 1, dtype=torch.float64) ** -0.5
    return normal(seed, torch.arange(rows), (columns,), dtype=torch.float64) * scale


def timed(methods: dict[str, Callable[[], float]], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Processor seconds of each round of each method, and what it gave."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    values: dict[str, float] = {}
    for _ in range(rounds):
        for name, method in methods.items():
            began = time.process_time()
            values[name] = method()
            seconds[name].append(time.process_time() - began)
    return seconds, values


Pair = tuple[torch.Tensor, torch.Tensor]


def fidelity(real: Pair, fake: Pair) -> float:
    """torch-fidelity's distance of two statistics."""
    stats = [{"mu": mean.numpy(), "sigma": covariance.numpy()} for mean, covariance in (real, fake)]
    return fid_statistics_to_metric(*stats, verbose=False)[KEY_METRIC_FID]


def with_root(real: Pair, fake: Pair) -> float:
    """The distance as it is written, with scipy's root of the product; pytorch-fid, clean-fid and others have this."""
    (first_mean, first), (second_mean, second) = ([part.numpy() for part in pair] for pair in (real, fake))
    root = np.trace(linalg.sqrtm(first @ second).real)
    return float(np.square(first_mean - second_mean).sum() + np.trace(first) + np.trace(second) - 2 * root)


if __name__ == "__main__":
    main()
