"""Features of images in a discriminator's last hidden layer, from which classes, codes and probes are computed."""

import math

import torch
from torch import Tensor

from advgan.models.interface import Discriminator
from advgan.ranges import to_signed
from attacks.random import permutation
from evaluation.game.discriminator import View


@torch.no_grad()
def hidden_features(
    discriminator: Discriminator, images: Tensor, *, view: View = to_signed, batch_size: int = 256, seed: int = 0
) -> Tensor:
    """Features (N, D) of images (N, C, H, W) in [0, 1], in their order, in eval mode, on the CPU; the mode is put back.

    Batches are shuffled and of nearly one size: a batch norm that takes the statistics of its batch would see other
    ones in images that are sorted by class. Raises ValueError for a discriminator that looks at labels or at packs,
    whose features are not those of an image.
    """
    if discriminator.num_classes:
        raise ValueError("the features of this discriminator depend on labels that it is told: they are no image's own")
    device, training = next(discriminator.parameters()).device, discriminator.training
    order = permutation(seed, len(images))
    discriminator.eval()
    try:
        parts = order.tensor_split(max(1, math.ceil(len(images) / batch_size)))
        found = torch.cat([discriminator.features(view(images[rows].to(device))).float().cpu() for rows in parts])
    finally:
        discriminator.train(training)
    if len(found) != len(images):
        raise ValueError(f"this discriminator judges packs: {len(images)} images gave {len(found)} rows of features")
    return found[order.argsort()]
