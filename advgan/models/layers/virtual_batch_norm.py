"""Virtual batch norm: statistics of a fixed reference batch, so that examples do not depend on each other."""

import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace

NUM_REFERENCE = 64
"""Rows of the reference batch: as many as a usual batch of training has."""
_STREAM = 1 << 43  # far from those of training and sampling: the reference is no image that somebody asks for


class VirtualBatchNorm2d(nn.Module):
    """Normalise maps (n + N, C, H, W), whose first n = `NUM_REFERENCE` are the reference batch (Salimans et al., 2016).

    The reference is normalised by its own statistics, per channel over images and places; every other example by those
    of the reference and itself together, its moments weighing 1 / (n + 1). The same in train and in eval mode: an
    example depends on nothing else of its batch. The reference passes in the same batch, so its statistics are those
    of the present weights, gradients flow through them, and nothing is remembered between calls.
    """

    def __init__(self, channels: int, *, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.affine = affine
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, maps: Tensor) -> Tensor:
        values = maps.to(torch.promote_types(maps.dtype, torch.float32))
        reference, examples = values[:NUM_REFERENCE], values[NUM_REFERENCE:]
        variance, mean = torch.var_mean(reference, dim=(0, 2, 3), correction=0, keepdim=True)
        own_variance, own_mean = torch.var_mean(examples, dim=(2, 3), correction=0, keepdim=True)
        share, apart = 1 / (NUM_REFERENCE + 1), own_mean - mean
        joint_mean = mean + share * apart
        # The difference of the joint moments, E x^2 - (E x)^2, in a form that does not cancel.
        joint_variance = (1 - share) * variance + share * own_variance + share * (1 - share) * apart.square()
        normalised = torch.cat(
            [
                (reference - mean) * torch.rsqrt(variance + self.eps),
                (examples - joint_mean) * torch.rsqrt(joint_variance + self.eps),
            ]
        )
        if self.weight is not None and self.bias is not None:
            normalised = normalised * self.weight[:, None, None] + self.bias[:, None, None]
        return normalised.to(maps.dtype)


class ReferenceBatch(nn.Module):
    """The fixed latents and labels of a generator's reference batch, as buffers; labels cycle through the classes."""

    latents: Tensor
    labels: Tensor

    def __init__(self, space: LatentSpace, *, num_classes: int) -> None:
        super().__init__()
        indices = torch.arange(NUM_REFERENCE)
        self.register_buffer("latents", space.draw(0, indices, stream=_STREAM))
        self.register_buffer("labels", indices % max(1, num_classes))

    def before(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Put the reference before a batch: (N, D) and (N,) to (n + N, D) and (n + N,)."""
        joined = torch.cat([self.latents.to(latents.dtype), latents])
        return joined, None if labels is None else torch.cat([self.labels, labels])
