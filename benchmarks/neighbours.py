"""Precision, recall, density and coverage beside prdc and torch-fidelity: seconds and memory on the same features.

    python benchmarks/neighbours.py -n 10000 -d 512
    python benchmarks/neighbours.py -n 50000 -d 512 --tool ours --tool torch-fidelity

Each tool runs in a process of its own, one after the other, on one thread; memory is the peak above what the process
held with the features loaded, time is that of its processor. `prdc` is its formula with scikit-learn's distances, as in
its version 0.2, or with `--prdc PYTHON` the package that this interpreter has. `torch-fidelity` is its default;
`torch-fidelity-parts` its way with `save_cpu_ram`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

TOOLS = ("ours", "ours-values", "torch-fidelity", "torch-fidelity-parts", "prdc")


@click.command()
@click.option("-n", "--num-samples", default=10_000, help="Real and fake samples each.")
@click.option("-d", "--dim", default=512, help="Features of each.")
@click.option("--tool", "tools", multiple=True, type=click.Choice(TOOLS), default=TOOLS)
@click.option("--prdc", "prdc_python", default=sys.executable, help="Interpreter that has prdc.")
@click.option("--run", "folder", hidden=True)
def main(num_samples: int, dim: int, tools: tuple[str, ...], prdc_python: str, folder: str | None) -> None:
    """Measure the tools side by side and print a table in Markdown."""
    if folder:
        measure(tools[0], Path(folder))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for seed, name in enumerate(("real", "fake")):
            draws = np.random.default_rng(seed).standard_normal((num_samples, dim), dtype=np.float32)
            np.save(Path(temporary) / f"{name}.npy", draws)
        print(f"{num_samples} x {num_samples} x {dim}\n")
        print("| tool | s | over ours | MiB above the features | precision | recall | density | coverage |")
        print("|---|---|---|---|---|---|---|---|")
        ours = None
        for tool in tools:
            python = prdc_python if tool == "prdc" else sys.executable
            found = launch(python, tool, temporary)
            ours = ours or found["seconds"]
            scores = " | ".join(
                f"{found[name]:.6f}" if name in found else "" for name in ("precision", "recall", "density", "coverage")
            )
            ratio = found["seconds"] / ours
            print(
                f"| {tool} | {found['seconds']:.1f} | {ratio:.2f} | {found['mebibytes']:.0f} | {scores} |", flush=True
            )


def launch(python: str, tool: str, folder: str) -> dict[str, float]:
    """Run one tool in a process of its own."""
    environment = os.environ | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    command = [python, __file__, "--tool", tool, "--run", folder]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(tool: str, folder: Path) -> None:
    """Print seconds, peak memory and scores of one tool on the features in a folder."""
    score = {"ours": ours, "ours-values": ours_values, "prdc": prdc}.get(tool) or torch_fidelity(tool)
    small = np.random.default_rng(2).standard_normal((64, 8), dtype=np.float32)
    score(small, small + 1)  # what is imported and set up on first use is in no tool's time
    real, fake = (np.load(folder / f"{name}.npy") for name in ("real", "fake"))
    before, start = peak(), time.process_time()
    scores = score(real, fake)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "mebibytes": peak() - before, **scores}))


def peak() -> float:
    """The most memory that this process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """All four with intervals."""
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from evaluation.neighbourhoods.precision_recall import precision_recall

    found = precision_recall(torch.from_numpy(real), torch.from_numpy(fake))
    return {name: estimate.value for name, estimate in found.items()}


def ours_values(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """The four values alone."""
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from evaluation.neighbourhoods.precision_recall import neighbourhoods

    found = neighbourhoods(torch.from_numpy(real), torch.from_numpy(fake))
    values = (found.fake_in_real, found.real_in_fake, found.density, found.covered)
    names = ("precision", "recall", "density", "coverage")
    return {name: float(value.double().mean()) for name, value in zip(names, values, strict=True)}


def torch_fidelity(tool: str):  # type: ignore[no-untyped-def]
    """Precision and recall; it takes the generated set first."""

    def score(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
        import torch
        from torch_fidelity.metric_prc import prc_features_to_metric

        parts = tool.endswith("parts")
        found = prc_features_to_metric(
            torch.from_numpy(fake), torch.from_numpy(real), verbose=False, save_cpu_ram=parts
        )
        return {name: found[name] for name in ("precision", "recall")}

    return score


def prdc(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """All four of the package where it is there, else by its formula: whole matrices, open balls, one k for all."""
    try:
        from prdc import compute_prdc  # type: ignore[import-not-found]
    except ImportError:
        return prdc_formula(real, fake, 5)
    return {name: float(value) for name, value in compute_prdc(real, fake, nearest_k=5).items()}


def prdc_formula(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """The definitions of Naeem et al. (2020) on whole matrices."""
    from sklearn.metrics import pairwise_distances

    real_radii, fake_radii = (np.partition(pairwise_distances(rows), k, axis=1)[:, k] for rows in (real, fake))
    across = pairwise_distances(real, fake)
    inside = across < real_radii[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((across < fake_radii).any(axis=1).mean()),
        "density": float(inside.sum() / k / len(fake)),
        "coverage": float((across.min(axis=1) < real_radii).mean()),
    }


if __name__ == "__main__":
    main()
