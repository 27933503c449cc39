"""Images from a generator, each a function of (seed, index)."""

from itertools import chain

import torch
from torch import Tensor

from advgan.models.interface import Generator
from advgan.ranges import from_signed
from advgan.sampling.classes import sample_labels
from advgan.sampling.truncation import truncate_latents


def sample(
    generator: Generator,
    indices: Tensor | int,
    *,
    seed: int = 0,
    labels: Tensor | None = None,
    truncation: float | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw float images (N, C, H, W) in [0, 1], one for each index, or for 0..n-1 where `indices` is a number n.

    Image k depends on (seed, k) and its label alone: the latents are the same bits in any batch, and the images agree
    to the rounding of the network's own products (a few 1e-6) at any `batch_size`. A conditional generator draws the
    classes of `labels` (N,), by default those of `sample_labels`: independent, in the shares of its training data. With
    `truncation` normal noise is mapped to the normal distribution truncated at that threshold
    (`advgan.sampling.truncation`).
    """
    home = home_of(generator)
    indices = (torch.arange(indices) if isinstance(indices, int) else indices).to(home)
    labels = _checked(generator, indices, labels, seed)
    latents = draw(generator, indices, seed=seed, truncation=truncation)
    return decode(generator, latents, labels, batch_size=batch_size, device=device)


def draw(generator: Generator, indices: Tensor, *, seed: int = 0, truncation: float | None = None) -> Tensor:
    """The latents (N, space.dim) of sample indices (N,), on the generator's device."""
    latents = generator.space.draw(seed, indices.to(home_of(generator)))
    return latents if truncation is None else truncate_latents(latents, generator.space, truncation)


@torch.no_grad()
def decode(
    generator: Generator,
    latents: Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> Tensor:
    """Turn latents (N, space.dim) into float images (N, C, H, W) in [0, 1].

    The images are moved to `device`, by default the generator's. The generator runs in eval mode, and its mode is
    restored.
    """
    home, training = home_of(generator), generator.training
    generator.eval()
    try:
        images = []
        for rows in torch.arange(len(latents)).split(batch_size):
            given = None if labels is None else labels[rows.to(labels.device)].to(home)
            signed = generator(latents[rows.to(latents.device)].to(home), given)
            images.append(from_signed(signed).to(device or home))
        return torch.cat(images)
    finally:
        generator.train(training)


def home_of(generator: Generator) -> torch.device:
    """The device that a generator is on."""
    first = next(chain(generator.parameters(), generator.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def _checked(generator: Generator, indices: Tensor, labels: Tensor | None, seed: int) -> Tensor | None:
    if labels is None:
        return sample_labels(generator, indices, seed=seed)
    if generator.num_classes == 0:
        raise ValueError("this generator is unconditional: it draws no chosen class, leave labels out")
    if labels.shape != indices.shape:
        raise ValueError(f"{len(labels):,} labels were given for {len(indices):,} samples: give one each")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < generator.num_classes:
        raise ValueError(
            f"labels span {int(labels.min())} to {int(labels.max())}, "
            f"this generator knows the classes 0 to {generator.num_classes - 1}"
        )
    return labels.to(indices.device)
