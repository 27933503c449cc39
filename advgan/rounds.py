"""The batches of a GAN's training: what is drawn for each discriminator step, and how the discriminator sees it."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.augmentation import flip
from advgan.config import GanTraining
from advgan.data import ImageSet, batches
from advgan.differentiable_augmentation import augment
from advgan.game import Sight
from advgan.gan_state import State
from advgan.models.interface import Practising
from advgan.processes import Processes
from advgan.ranges import to_signed, to_unit
from attacks.random import integers, permutation

# Streams of attacks.random: what is drawn for the same image must not repeat. Sampling uses 0, penalties 2 and 3.
TRAINING_LATENTS = 1
MIRRORED = 4
REAL, FAKE, SEEN_BY_GENERATOR = 1_000, 2_000, 10_000
"""Streams of augmentation."""
LABELLED = 7
"""Added to the seed for the order of the images whose labels are told."""


class Round(NamedTuple):
    """A part of a batch: real images, and the latents of as many generated ones with the same labels."""

    numbers: Tensor
    """(N,) int64: over the whole run, so that whatever is drawn for an image is drawn once."""
    real: Tensor
    """(N, C, H, W), signed."""
    labels: Tensor
    noise: Tensor
    """(N, space.dim)."""
    labelled: tuple[Tensor, Tensor] | None
    """Signed images and labels that a semi-supervised discriminator is told."""


def rounds(state: State, data: ImageSet, training: GanTraining, processes: Processes) -> Iterator[list[Round]]:
    """Yield for each discriminator step, from `state.batches` on, the parts of its batch that fall to this process.

    So for each update of a generator that learns from fresh ones.

    Processes and parts cut the same batch into equal pieces in order, so their number changes nothing in what is drawn.
    Raises ValueError where they do not divide it.
    """
    rows, pieces = training.batch_size, processes.count * training.accumulation
    if rows % pieces:
        raise ValueError(
            f"batch_size {rows} must be a multiple of {pieces} ({processes.count} processes times accumulation "
            f"{training.accumulation})"
        )
    device, space = state.device, state.generator.space
    begun = state.batches
    if training.generator_batch == "fresh":
        begun += state.step * training.generator_updates
    told = _labelled(state, data, training, start=begun)
    stream = batches(data, rows, seed=training.seed, start=begun, device=device)
    for number, batch in enumerate(stream, start=begun):
        numbers = torch.arange(number * rows, (number + 1) * rows, device=device)
        labelled = next(told) if told else None
        parts = []
        for part in range(processes.rank * training.accumulation, (processes.rank + 1) * training.accumulation):
            piece = slice(part * rows // pieces, (part + 1) * rows // pieces)
            noise = space.draw(training.seed, numbers[piece], stream=TRAINING_LATENTS)
            real = to_signed(to_unit(batch.images[piece]))
            if training.mirror:
                real = flip(real, integers(training.seed, numbers[piece], 2, stream=MIRRORED) == 1)
            parts.append(Round(numbers[piece], real, batch.labels[piece], noise, labelled))
        yield parts


def make(state: State, part: Round) -> Tensor:
    """Generate as many images as there are real ones; a pyramid's levels with the help of these."""
    generator = state.generator
    if isinstance(generator, Practising):
        return generator.practise(part.noise, part.labels, part.real).float()
    return generator(part.noise, part.labels).float()


def see(state: State, training: GanTraining, part: Round, fake: Tensor, *, generator: bool) -> Sight:
    """Show a part to the discriminator: augmented, joined to packs, or as the levels of a pyramid.

    `generator` tells the generator's turn, which augments anew.
    """
    real, packing, offset = part.real, state.packing, SEEN_BY_GENERATOR if generator else 0
    if training.augmentation:
        moves = training.augmentation_target is not None or training.ramp.augmentation is not None
        share = state.gauges.augmentation if moves else 1.0
        real, fake = (
            augment(
                images,
                training.augmentation,
                seed=training.seed,
                numbers=part.numbers,
                stream=stream + offset,
                share=share,
            )
            for images, stream in ((real, REAL), (fake, FAKE))
        )
    if isinstance(state.generator, Practising):
        real = state.generator.exhibit(real)
    return Sight(
        state=state,
        training=training,
        numbers=part.numbers[::packing],
        real=packed(real, packing),
        fake=packed(fake, packing),
        labels=part.labels if packing == 1 else None,
        codes=part.noise[:, : state.generator.space.num_codes],
        labelled=part.labelled,
    )


def packed(images: Tensor, packing: int) -> Tensor:
    """Join every m = `packing` images along their channels: (N, C, ...) to (N / m, m C, ...) (Lin et al., 2018)."""
    if packing == 1:
        return images
    return images.reshape(len(images) // packing, packing * images.shape[1], *images.shape[2:])


def labelled_indices(data: ImageSet, training: GanTraining) -> Tensor:
    """Which images' labels a semi-supervised discriminator is told: the first of each class in a shuffled order."""
    order = permutation(training.seed + LABELLED, len(data))
    if training.labelled is None:
        return order
    each = training.labelled // data.num_classes
    if each == 0 or training.labelled % data.num_classes:
        raise ValueError(
            f"training.labelled {training.labelled} must be a multiple of the {data.num_classes} classes of {data.name}"
        )
    labels = data.labels[order]
    return torch.cat([order[labels == number][:each] for number in range(data.num_classes)])


def _labelled(
    state: State, data: ImageSet, training: GanTraining, *, start: int
) -> Iterator[tuple[Tensor, Tensor]] | None:
    if not state.discriminator.head.names_classes or state.generator.num_classes:
        return None
    told = data.select(labelled_indices(data, training))
    rows = min(training.batch_size, len(told))
    stream = batches(told, rows, seed=training.seed + LABELLED, start=start, device=state.device)
    return ((to_signed(to_unit(batch.images)), batch.labels) for batch in stream)
