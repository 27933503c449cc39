"""Gradient norms of the generator and the discriminator at a checkpoint, computed on copies."""

from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from advgan.data import ImageSet, batches
from advgan.gan.game import loss_of
from advgan.models.interface import Network
from advgan.ranges import to_unit
from advgan.sampling.stored import TrainedGan
from evaluation.game.discriminator import shown, view_of

GRADIENT_NOISE = 1 << 44
"""Index of the first sample that gradients are taken at."""
BATCHES = 16


class PlayerGradients(NamedTuple):
    """Euclidean norms of the whole gradient of each network, one per batch, and the count of non-finite entries."""

    generator: Tensor
    """(B,) float64; NaN or infinite where an entry of the gradient is."""
    discriminator: Tensor
    broken: int
    """Entries of all gradients that are NaN or infinite."""


def player_gradients(
    gan: TrainedGan, images: ImageSet, *, batch_size: int | None = None, num_batches: int = BATCHES, seed: int = 0
) -> PlayerGradients:
    """Take the gradients of the recipe's own adversarial losses at batches of its size (Arjovsky and Bottou, 2017).

    Penalties and further terms are left out. The norm of a batch's mean gradient depends on the size of the batch: with
    more images less noise is in it. Both players are in eval mode, and the generator is the average. Each batch has
    images and latents of its own, so the norms are independent as long as no image comes twice.
    """
    discriminator = deepcopy(gan.game.discriminator).requires_grad_(True).eval()
    generator = deepcopy(gan.generator).requires_grad_(True).eval()
    loss, packing = loss_of(gan.game.training), gan.game.networks.packing
    view, norms, broken = view_of(generator, packing=packing), list[list[float]](), 0
    for number, (real, labels) in enumerate(_batches(gan, images, batch_size, num_batches, seed)):
        device = next(generator.parameters()).device
        indices = torch.arange(len(labels), device=device) + GRADIENT_NOISE + number * len(labels)
        given = labels.to(device)
        drawn = generator(generator.space.draw(seed, indices), given if generator.num_classes else None)
        asked = given if discriminator.num_classes else None
        fake_logits = discriminator(shown(generator, drawn, packing=packing), asked).float()
        real_logits = discriminator(view(real.to(device)), asked).float()
        line = []
        for player, value in (
            (generator, loss.generator(fake_logits, real_logits.detach())),
            (discriminator, loss.discriminator(real_logits, fake_logits)),
        ):
            gradients = _gradients(value, player)
            line.append(float(get_total_norm(gradients)))
            broken += sum(int((~gradient.isfinite()).sum()) for gradient in gradients)
        norms.append(line)
    table = torch.tensor(norms, dtype=torch.float64)
    return PlayerGradients(table[:, 0], table[:, 1], broken)


def _gradients(value: Tensor, player: Network) -> list[Tensor]:
    """Of the parameters that matter, kept for the other player's turn."""
    found = torch.autograd.grad(value, list(player.parameters()), retain_graph=True, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


def _batches(
    gan: TrainedGan, images: ImageSet, batch_size: int | None, num_batches: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    packing = gan.game.networks.packing
    wanted = min(batch_size or gan.game.training.batch_size, len(images)) // packing * packing
    stream = batches(images, max(wanted, packing), seed=seed)
    for _ in range(num_batches):
        batch = next(stream)
        yield to_unit(batch.images), batch.labels
