import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from attacks.random import normal

MAPS = normal(0, torch.arange(8), (3, 4, 4)) * 2 + 5
TARGET = normal(1, torch.arange(8), (3, 4, 4))
FAR = MAPS + 4096
CASES = [
    (True, True, MAPS),
    (False, False, MAPS),
    (True, True, MAPS + torch.arange(8).view(8, 1, 1, 1)),
    (True, True, FAR),
]
"""Whether it scales, whether it remembers, and what it is given."""


def scaled(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    if norm.affine:
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([1.0, 2, 3]))
            norm.bias.copy_(torch.tensor([0.0, 1, -1]))
    return norm


def measured(norm: nn.BatchNorm2d, maps: Tensor, target: Tensor) -> dict[str, Any]:
    """Output, gradients of a loss that is a sum over samples, those of their penalty, and what the norm remembers."""
    maps = maps.clone().requires_grad_()
    output = norm(maps)
    loss = ((output - target) ** 3).sum()
    (first,) = torch.autograd.grad(loss, maps, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), maps, retain_graph=True)
    weights = torch.autograd.grad(loss, list(norm.parameters())) if norm.affine else ()
    found = {"output": output.detach(), "first": first.detach(), "second": second, "weights": list(weights)}
    return found | {"remembered": [buffer.clone() for buffer in norm.buffers()], "own": norm.eval()(maps).detach()}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_alone_it_is_batch_norm(affine: bool, running: bool) -> None:
    ours, torchs = (
        measured(scaled(kind(3, affine=affine, track_running_stats=running)), MAPS, TARGET)
        for kind in (SynchronisedBatchNorm2d, nn.BatchNorm2d)
    )
    torch.testing.assert_close(ours, torchs, rtol=0, atol=0)


def one_of_two(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    mine = slice(4 * rank, 4 * rank + 4)
    found = [
        measured(
            scaled(SynchronisedBatchNorm2d(3, affine=affine, track_running_stats=running)), maps[mine], TARGET[mine]
        )
        for affine, running, maps in CASES
    ]
    if rank == 0:  # In eval mode nobody else is asked, so one may pass alone.
        SynchronisedBatchNorm2d(3, track_running_stats=False).eval()(MAPS)
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What both processes measured."""
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", range(3))
def test_two_processes_are_one_with_the_joined_batch(found: list[list[dict[str, Any]]], case: int) -> None:
    affine, running, maps = CASES[case]
    one = measured(
        scaled(nn.BatchNorm2d(3, affine=affine, track_running_stats=running).double()), maps.double(), TARGET
    )
    first, second = found[0][case], found[1][case]
    for name in ("output", "first", "second"):
        joined = torch.cat([first[name], second[name]]).double()
        scale = one[name].abs().max()
        torch.testing.assert_close(joined / scale, one[name] / scale, rtol=0, atol=1e-6)
    for mine, other, whole in zip(first["weights"], second["weights"], one["weights"], strict=True):
        torch.testing.assert_close((mine + other).double(), whole, rtol=1e-5, atol=1e-5)
    for result in (first, second):
        for remembered, expected in zip(result["remembered"], one["remembered"], strict=True):
            torch.testing.assert_close(remembered, expected.to(remembered.dtype), rtol=1e-6, atol=1e-6)


def test_the_processes_batches_differ_enough_to_see_it(found: list[list[dict[str, Any]]]) -> None:
    """The control of the test above: plain batch norm of half the batch is another."""
    alone = measured(scaled(nn.BatchNorm2d(3)), MAPS[:4], TARGET[:4])
    assert (alone["output"] - found[0][0]["output"]).abs().max() > 0.01


def test_the_moments_do_not_cancel_far_from_zero(found: list[list[dict[str, Any]]]) -> None:
    """A mean 2000 times the spread leaves the variance as it is, but for the rounding of the maps themselves."""
    joined = torch.cat([results[3]["output"] for results in found])
    torch.testing.assert_close(joined, scaled(nn.BatchNorm2d(3).double())(FAR.double()).float(), rtol=0, atol=2e-3)


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
