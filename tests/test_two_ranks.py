"""Two processes that share every batch train the players that one process trains."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.state import State, start
from advgan.gan.training import train
from advgan.machine.processes import Processes, joined

STEPS = 50
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "non-saturating": ({"discriminator_norm": "none"}, {"loss": "non-saturating"}),
    "wasserstein-gp": ({}, {"loss": "wasserstein", "gradient_penalty": 10, "discriminator_steps": 2}),
    "relativistic-r1-r2-augmented": (
        {"discriminator_norm": "none"},
        {"loss": "relativistic", "r1": 1, "r2": 1, "augmentation": ("colour",), "augmentation_target": 0.6},
    ),
    "synchronised": ({"synchronised": True, "generator_norm": "batch"}, {"loss": "hinge", "lecam": 0.1}),
}


def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(64) % 3, ("a", "b", "c"), "toy")


def trained(case: str, processes: Processes | None = None) -> State:
    torch.set_num_threads(1)
    networks, recipe = CASES[case]
    # Plain descent: Adam divides by moments near 0 and turns the last bit of a sum into a step.
    training = GanTraining.model_validate(
        {"steps": STEPS, "batch_size": 16, "optimizer": "sgd", "generator_learning_rate": 0.02, **recipe}
        | {"discriminator_learning_rate": 0.02, "beta1": 0.0}
    )
    plan = GanNetworks.model_validate(
        {"family": "dcgan", "width": 4, "latent_dim": 6, "generator_norm": "none", "conditional": True, **networks}
    )
    state = start(plan, training, size=8, channels=1, num_classes=3)
    for _ in train(state, images(), training, processes=processes):
        pass
    return state


def one_of_two(case: str, folder: str) -> None:
    """What each process that torchrun starts does."""
    with joined() as processes:
        torch.save(trained(case, processes).to_tree(), Path(folder) / f"{processes.rank}.pt")


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(case: str, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([*launch, case, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    whole = trained(case).to_tree()
    for player in ("generator", "discriminator", "average"):
        moved = 0.0
        for name, value in whole[player].items():
            assert isinstance(value, Tensor)
            torch.testing.assert_close(first[player][name], second[player][name], rtol=1e-6, atol=1e-7)
            # Weights are of the size of 0.02, and sums of halves round differently in each of the steps.
            torch.testing.assert_close(first[player][name], value, rtol=1e-3, atol=5e-5)
            moved += float(value.float().abs().sum())
        assert moved > 0
    for name, gauge in whole["gauges"].items():
        torch.testing.assert_close(first["gauges"][name], gauge, rtol=1e-3, atol=1e-5)


if __name__ == "__main__":
    one_of_two(*sys.argv[1:])
