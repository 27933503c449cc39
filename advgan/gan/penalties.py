"""Regularisation of a discriminator: gradient penalties for each sample, and LeCam's on its logits."""

from collections.abc import Callable

import torch
from torch import Tensor

Scores = Callable[[Tensor, Tensor | None], Tensor]
"""(signed images, labels) -> logits (N,); the logit of a sample must not depend on the rest of the batch."""
DRAGAN_SPREAD = 0.5
"""Scale of the noise around real images, in standard deviations of the batch, as in the paper's code."""


def gradient_norms(discriminator: Scores, images: Tensor, labels: Tensor | None) -> Tensor:
    """Measure the Euclidean norm of each sample's own gradient: (N, C, H, W) to (N,), differentiable.

    A discriminator with batch norm mixes the samples of a batch; the norms then mean nothing.
    """
    return _gradients(discriminator, images, labels).norm(dim=1)


def squared_gradient(discriminator: Scores, images: Tensor, labels: Tensor | None) -> Tensor:
    """Half the mean squared gradient norm at images: R1 at real, R2 at generated ones (Mescheder et al., 2018)."""
    return _gradients(discriminator, images, labels).square().sum(dim=1).mean() / 2


def gradient_penalty(
    discriminator: Scores, real: Tensor, fake: Tensor, labels: Tensor | None, *, mixing: Tensor
) -> Tensor:
    """WGAN-GP's penalty between real and fake images: the mean of (gradient norm - 1)^2 (Gulrajani et al., 2017).

    `mixing` (N,) in [0, 1] is the share of the real image in the interpolate of each pair. `labels` hold for both
    images of a pair. Neither image receives a gradient.
    """
    share = mixing.view(-1, *[1] * (real.dim() - 1))
    between = torch.lerp(fake, real, share)
    return (gradient_norms(discriminator, between, labels) - 1).square().mean()


def dragan_penalty(discriminator: Scores, real: Tensor, labels: Tensor | None, *, noise: Tensor) -> Tensor:
    """DRAGAN's penalty at noisy real images: the mean of (gradient norm - 1)^2 (Kodali et al., 2017).

    `noise` has the shape of `real`, in [0, 1]; it is scaled to half the standard deviation of the batch.
    """
    cloud = real + DRAGAN_SPREAD * real.std() * noise
    return (gradient_norms(discriminator, cloud, labels) - 1).square().mean()


def lecam_penalty(real_logits: Tensor, fake_logits: Tensor, *, real_mean: Tensor, fake_mean: Tensor) -> Tensor:
    """Pull real logits to the moving average of fake ones and the other way round (Tseng et al., 2021, equation 3)."""
    return (real_logits - fake_mean).square().mean() + (fake_logits - real_mean).square().mean()


def _gradients(discriminator: Scores, images: Tensor, labels: Tensor | None) -> Tensor:
    """(N, C, H, W) to (N, C*H*W)."""
    images = images.detach().requires_grad_(True)
    logits = discriminator(images, labels)
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1).float()
