"""Memory of the device is counted, and ends at its limit as CUDA's does."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

MIB = 1 << 20


def test_beyond_the_limit_torch_runs_out_of_memory(limit_memory: Callable[[int], Any], cuda: torch.device) -> None:
    before = torch.cuda.memory_allocated()
    with limit_memory(before + 4 * MIB):
        kept = torch.zeros(3 * MIB, dtype=torch.uint8, device=cuda)
        with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
            torch.zeros(2 * MIB, dtype=torch.uint8, device=cuda)
        with pytest.raises(torch.OutOfMemoryError):
            kept + 1
        del kept
        torch.zeros(4 * MIB, dtype=torch.uint8, device=cuda)
        assert torch.cuda.mem_get_info() == (4 * MIB, before + 4 * MIB)


def test_the_peak_is_of_what_lived_at_once(pretended: None, cuda: torch.device) -> None:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        torch.zeros(MIB, dtype=torch.uint8, device=cuda).add_(1)
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() == before + MIB


def test_a_view_takes_no_memory_and_keeps_what_it_shows(pretended: None, cuda: torch.device) -> None:
    before = torch.cuda.memory_allocated()
    view = torch.zeros(MIB, dtype=torch.uint8, device=cuda)[:7]
    assert torch.cuda.memory_allocated() == before + MIB
    del view
    assert torch.cuda.memory_allocated() == before
