"""Where the processes of torchrun compute: a GPU each, or the CPU together."""

from typing import Any

import pytest
import torch
from torch import distributed

from advgan.machine import processes
from advgan.machine.processes import Processes, WrongStartError, joined


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """A machine with two GPUs that notes what is asked of it, in order."""
    made: list[tuple[str, Any]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: made.append(("set_device", number)))
    monkeypatch.setattr(processes, "rendezvous", lambda url: iter([(distributed.HashStore(), 0, 0)]))
    monkeypatch.setattr(
        distributed, "init_process_group", lambda backend, **options: made.append((backend, options["device_id"]))
    )
    monkeypatch.setattr(distributed, "get_rank", lambda: 3)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    return made


def started(monkeypatch: pytest.MonkeyPatch, *, local_rank: int, here: int, count: int = 4) -> None:
    of_torchrun = {"WORLD_SIZE": count, "RANK": 3, "LOCAL_RANK": local_rank, "LOCAL_WORLD_SIZE": here}
    for name, value in {**of_torchrun, "MASTER_ADDR": "localhost", "MASTER_PORT": 29500}.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_process_takes_its_gpu_before_it_meets_the_others(
    device: str, calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, local_rank=1, here=2)
    with joined(device) as found:
        assert found == Processes(rank=3, count=4, local_rank=1, here=2)
        assert found.device(device) == "cuda:1"
        assert found.device("cpu") == "cpu"
    assert calls == [("set_device", 1), ("cpu:gloo,cuda:nccl", torch.device("cuda:1"))]


def test_on_the_cpu_no_gpu_is_touched(calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, local_rank=3, here=4)
    with joined("cpu") as found:
        assert found.here == 4
    assert calls == [("gloo", None)]


@pytest.mark.parametrize(
    ("device", "here", "words"),
    [
        ("auto", 3, r"3 processes .* 2 GPU.*--nproc-per-node 2, or --device cpu"),
        ("cuda", 3, r"3 processes .* 2 GPU.*--nproc-per-node 2, or --device cpu"),
        ("cuda:1", 2, r"--device cuda:1: 2 processes .*--device cuda.*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_what_would_share_a_gpu_is_refused_once(
    device: str, here: int, words: str, calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, local_rank=0, here=here)
    with pytest.raises(WrongStartError, match=words), joined(device):
        pass
    started(monkeypatch, local_rank=1, here=here)
    with pytest.raises(SystemExit) as end, joined(device):
        pass
    assert end.value.code == WrongStartError.exit_code == 2
    assert not calls, "refused before anything was touched"


def test_one_process_may_name_its_gpu(calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined("cuda:1") as found:
        assert found.device("cuda:1") == "cuda:1"
    assert not calls
