"""What goes wrong with generators in torch-fidelity 0.4.0, and does not here."""

import numpy as np
import torch
from torch_fidelity.noise import batch_slerp_any, random_unit

from advgan.models.latents import LatentSpace, latents
from advgan.sampling.interpolation import slerp
from evaluation.jobs.export.fidelity_wrapper import FidelityGenerator


class Conditional(torch.nn.Module):
    """Draws its label."""

    space, num_classes = LatentSpace(noise_dim=2), 10

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return labels.view(-1, 1, 1, 1) / 5 - 1


def test_torch_fidelity_labels_need_a_removed_numpy_type() -> None:
    """A conditional generator cannot be scored with numpy 1.24 or later; the wrapper draws the label from noise."""
    assert not hasattr(np, "int")
    wrapper = FidelityGenerator(Conditional(), channels=1)
    images = wrapper(torch.randn(500, wrapper.z_size, generator=torch.Generator().manual_seed(0)))
    assert len(images.unique()) == 10


def test_torch_fidelity_unit_noise_in_one_orthant() -> None:
    """Its `unit` noise is made of uniform values and never negative; noise on the sphere goes everywhere."""
    theirs = random_unit(np.random.RandomState(0), (200, 6))
    ours = latents(0, torch.arange(200), dim=6, kind="sphere")
    assert float((theirs < 0).float().mean()) == 0
    assert 0.4 < float((ours < 0).float().mean()) < 0.6


def test_torch_fidelity_slerp_through_the_origin() -> None:
    """Between opposite vectors its spherical interpolation falls back to the straight line, and meets length 0."""
    first = torch.tensor([[3.0, 4.0, 0.0]])
    assert float(batch_slerp_any(first, -first, 0.5).norm()) == 0
    middle = slerp(first, -first, torch.tensor([0.5]))
    torch.testing.assert_close(middle.norm(), torch.tensor(5.0))
