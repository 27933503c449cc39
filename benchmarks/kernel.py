"""The exact kernel distance beside torch-fidelity's 100 subsets of 1000, in one run: a table in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/kernel.py --samples 5000 --features 2048

Both take the same float32 features; the exact one also bounds its value. CPU seconds, the fewest of `--repeats` runs
taken in turn; the error is against the same sum with float64 products.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks.random import normal
from evaluation.fidelity.kernel import kernel_distance, kernel_estimate


@click.command()
@click.option("--samples", default=5000)
@click.option("--features", default=2048)
@click.option("--repeats", default=2)
def main(samples: int, features: int, repeats: int) -> None:
    """Time both on features like Inception's: not negative, with a few strong directions."""
    torch.set_num_threads(1)
    real, fake = (made(seed, samples, features) for seed in (0, 1))
    seconds: dict[str, list[float]] = {"exact": [], "subsets": []}
    values: dict[str, float] = {}
    with threadpool_limits(1):
        for _ in range(repeats):
            for name, run in (
                ("exact", lambda: kernel_estimate(real, fake).value),
                ("subsets", lambda: kid_features_to_metric(real, fake, verbose=False)[KEY_METRIC_KID_MEAN]),
            ):
                taken, values[name] = timed(run)
                seconds[name].append(taken)
    error = abs(values["exact"] - kernel_distance(real.double(), fake.double()))
    exact, subsets = min(seconds["exact"]), min(seconds["subsets"])
    print("| | CPU seconds | value |\n|---|---|---|")
    print(f"| exact, with interval (error {error:.1e}) | {exact:.1f} | {values['exact']:.6g} |")
    print(f"| torch-fidelity, 100 subsets of 1000 | {subsets:.1f} | {values['subsets']:.6g} |")
    print(f"| ratio | {exact / subsets:.2f} | |")


def made(seed: int, samples: int, features: int) -> Tensor:
    """Rectified Gaussian features whose scales decay; the second set is a little brighter."""
    scale = 2 / (1 + torch.arange(features) / 64).sqrt()
    return (scale * (normal(seed, torch.arange(samples), (features,)) + 0.3 + 0.02 * seed)).relu()


def timed(run: Callable[[], float]) -> tuple[float, float]:
    began = time.process_time()
    value = run()
    return time.process_time() - began, value


if __name__ == "__main__":
    main()
