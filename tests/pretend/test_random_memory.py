"""Noise of many images takes little more memory than itself."""

import pytest
import torch

from attacks import random


@pytest.mark.parametrize(("draw", "most"), [(random.uniform, 3.0), (random.normal, 4.0)])
def test_a_large_draw_peaks_at_a_few_times_its_result(draw, most, cuda: torch.device, pretended: None) -> None:
    indices = torch.arange(2048, device=cuda)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    values = draw(0, indices, (3, 32, 32))
    assert torch.cuda.max_memory_allocated() - before <= most * values.nbytes
