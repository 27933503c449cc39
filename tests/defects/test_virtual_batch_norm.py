"""Known defects of other libraries in virtual batch norm, each of which is absent here."""

import torch

from advgan.models.layers.virtual_batch_norm import NUM_REFERENCE, VirtualBatchNorm2d
from attacks.random import normal


def test_torchgan_virtual_batch_norm_alternates_with_each_call() -> None:
    """torchgan takes every second batch for a new reference, so the same batch gives another output each time."""
    maps = normal(0, torch.arange(NUM_REFERENCE + 4), (2, 3, 3))
    norm = VirtualBatchNorm2d(2)
    first = norm(maps)
    for _ in range(3):
        assert torch.equal(norm(maps), first)
    assert not norm.state_dict().keys() - {"weight", "bias"}


def test_torchgan_virtual_batch_norm_takes_statistics_per_pixel() -> None:
    """torchgan averages over the batch alone, which removes the mean picture: here a constant gradient is kept."""
    ramp = torch.arange(9.0).view(1, 1, 3, 3).expand(NUM_REFERENCE + 1, 1, 3, 3)
    ramp = ramp + 0.1 * normal(0, torch.arange(NUM_REFERENCE + 1), (1, 3, 3))
    with torch.no_grad():
        normalised = VirtualBatchNorm2d(1)(ramp)
    assert normalised[:, 0, 0, 0].mean() < -1
    assert normalised[:, 0, 2, 2].mean() > 1
