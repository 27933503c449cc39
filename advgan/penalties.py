"""Penalties on the gradient of a discriminator with respect to its images, sample by sample."""

from collections.abc import Callable

import torch
from torch import Tensor

Scores = Callable[[Tensor, Tensor | None], Tensor]
"""(signed images, labels) -> logits (N,); the logit of a sample must not depend on the rest of the batch."""


def gradient_norms(discriminator: Scores, images: Tensor, labels: Tensor | None) -> Tensor:
    """Measure the Euclidean norm of each sample's own gradient: (N, C, H, W) to (N,), differentiable.

    A discriminator with batch norm mixes the samples of a batch; the norms then mean nothing.
    """
    images = images.detach().requires_grad_(True)
    (gradients,) = torch.autograd.grad(discriminator(images, labels).sum(), images, create_graph=True)
    return gradients.flatten(1).norm(dim=1)


def gradient_penalty(
    discriminator: Scores, real: Tensor, fake: Tensor, labels: Tensor | None, *, mixing: Tensor
) -> Tensor:
    """Pull the gradient norm to 1 between real and fake images: the mean of (norm - 1)^2 (Gulrajani et al., 2017).

    `mixing` (N,) in [0, 1] is the share of the real image at which each pair is probed. `labels` hold for both images
    of a pair. Neither image receives a gradient.
    """
    share = mixing.view(-1, *[1] * (real.dim() - 1))
    between = torch.lerp(fake, real, share)
    return (gradient_norms(discriminator, between, labels) - 1).square().mean()
