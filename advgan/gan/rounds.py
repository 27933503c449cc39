"""The batches of GAN training: the random draws of each discriminator step, and the discriminator's input."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.config import GanTraining
from advgan.data import ImageSet, batches
from advgan.gan.differentiable_augmentation import augment, draw_changes
from advgan.gan.game import Sight
from advgan.gan.state import State, image_layout
from advgan.learning.augmentation import flip
from advgan.machine.processes import Processes
from advgan.models.interface import Practising
from advgan.ranges import to_signed, to_unit
from attacks.random import integers, permutation, uniform

# Streams of attacks.random: what is drawn for the same image must not repeat. Sampling uses 0, penalties 2 and 3.
TRAINING_LATENTS = 1
MIRRORED = 4
REAL, FAKE, SEEN_BY_GENERATOR = 1_000, 2_000, 10_000
"""Streams of augmentation."""
MIXING = 2
"""Stream of the points of the gradient penalty."""
LABELLED = 7
"""Added to the seed for the order of the labelled images of a semi-supervised GAN."""

BLOCK, AHEAD = 1 << 18, 32
"""The most values, and the most steps, drawn at once: a draw launches some thirty operators whatever its size, and
needs several times the bytes of its result while it runs."""


class Draws(NamedTuple):
    """The random draws for the images of a part: a function of the seed and of their numbers alone. See `Round`."""

    numbers: Tensor
    noise: Tensor
    mixing: Tensor | None
    changes: Tensor | None
    mirrored: Tensor | None
    """(N,) booleans: which real images are mirrored."""


class Round(NamedTuple):
    """A part of a batch: real images, and the latents of as many generated ones with the same labels."""

    numbers: Tensor
    """(N,) int64: numbers of the images over the whole run, on which all draws depend."""
    real: Tensor
    """(N, C, H, W), signed."""
    labels: Tensor
    noise: Tensor
    """(N, space.dim)."""
    labelled: tuple[Tensor, Tensor] | None
    """The labelled signed images of a semi-supervised GAN, and their labels."""
    mixing: Tensor | None
    """(N,) in [0, 1]: the share of the real image at which the gradient penalty is taken."""
    changes: Tensor | None
    """(4, N, augmentations, 4): draws of the augmentation of real and generated images in both players' turns."""


def rounds(state: State, data: ImageSet, training: GanTraining, processes: Processes) -> Iterator[list[Round]]:
    """Yield for each discriminator step, from `state.batches` on, the parts of its batch for this process.

    With `generator_batch` "fresh" one more batch follows for each update of the generator. Processes and parts cut the
    same batch into equal pieces in order, so their number does not change what is drawn.
    Raises ValueError where they do not divide it.
    """
    rows, pieces = training.batch_size, processes.count * training.accumulation
    if rows % pieces:
        raise ValueError(
            f"batch_size {rows} must be a multiple of {pieces} ({processes.count} processes times accumulation "
            f"{training.accumulation})"
        )
    begun = state.batches + state.step * training.fresh_per_step
    told = _labelled(state, data, training, start=begun)
    stream = batches(data, rows, seed=training.seed, start=begun, device=state.device, prepare=_signed(state, training))
    for batch, drawn in zip(stream, draws(state, training, processes, start=begun), strict=False):
        labelled = next(told) if told else None
        parts = []
        for part, draw in enumerate(drawn, start=processes.rank * training.accumulation):
            piece = slice(part * rows // pieces, (part + 1) * rows // pieces)
            real = batch.images[piece]
            if draw.mirrored is not None:
                real = flip(real, draw.mirrored)
            parts.append(
                Round(draw.numbers, real, batch.labels[piece], draw.noise, labelled, draw.mixing, draw.changes)
            )
        yield parts


def draws(state: State, training: GanTraining, processes: Processes, *, start: int) -> Iterator[list[Draws]]:
    """Yield for each batch, from number `start` on, the draws for the parts of this process.

    Several batches are drawn at once, cut at the same places in a run that is resumed.
    """
    device, parts = state.device, training.accumulation
    each = training.batch_size // (processes.count * parts)
    values = state.generator.space.dim + 16 * len(training.augmentation)
    ahead = min(AHEAD, max(1, BLOCK // (each * parts * values)))
    sides = torch.tensor([REAL, FAKE, REAL + SEEN_BY_GENERATOR, FAKE + SEEN_BY_GENERATOR], device=device)
    mine = slice(processes.rank * parts, (processes.rank + 1) * parts)
    first, used = divmod(start, ahead)
    for block in count(first):
        ends = (step * training.batch_size for step in (block * ahead, (block + 1) * ahead))
        numbers = torch.arange(*ends, device=device).view(ahead, -1, each)[:, mine]
        drawn = _draw(state, training, numbers.flatten(), sides)
        for batch in range(used, ahead):
            pieces = (slice((batch * parts + part) * each, (batch * parts + part + 1) * each) for part in range(parts))
            yield [_piece(drawn, piece) for piece in pieces]
        used = 0


def _draw(state: State, training: GanTraining, numbers: Tensor, sides: Tensor) -> Draws:
    seed, names = training.seed, training.augmentation
    return Draws(
        numbers,
        state.generator.space.draw(seed, numbers, stream=TRAINING_LATENTS),
        mixing=uniform(seed, numbers, (), stream=MIXING) if training.penalty_weight else None,
        changes=draw_changes(names, seed=seed, numbers=numbers, streams=sides) if names else None,
        mirrored=integers(seed, numbers, 2, stream=MIRRORED) == 1 if training.mirror else None,
    )


def _piece(drawn: Draws, piece: slice) -> Draws:
    return Draws(
        drawn.numbers[piece],
        drawn.noise[piece],
        mixing=None if drawn.mixing is None else drawn.mixing[piece],
        changes=None if drawn.changes is None else drawn.changes[:, piece],
        mirrored=None if drawn.mirrored is None else drawn.mirrored[piece],
    )


def make(state: State, part: Round) -> Tensor:
    """Generate as many images as there are real ones (for LAPGAN pyramids, given the real ones)."""
    generator = state.generator
    if isinstance(generator, Practising):
        return generator.practise(part.noise, part.labels, part.real).float()
    return generator(part.noise, part.labels).float()


def see(state: State, training: GanTraining, part: Round, fake: Tensor, *, generator: bool) -> Sight:
    """Prepare the discriminator's input: augment, pack, or turn real images into pyramids.

    `generator` marks the generator's turn, which has its own draws of augmentation.
    """
    real, packing = part.real, state.packing
    if part.changes is not None:
        share = state.gauges.augmentation if training.augmentation_moves else 1.0
        own = part.changes[2:] if generator else part.changes[:2]
        real, fake = (
            augment(images, training.augmentation, draws=drawn, share=share)
            for images, drawn in zip((real, fake), own, strict=True)
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
        mixing=None if part.mixing is None else part.mixing[::packing],
    )


def packed(images: Tensor, packing: int) -> Tensor:
    """Join every m = `packing` images along their channels: (N, C, ...) to (N / m, m C, ...) (Lin et al., 2018)."""
    if packing == 1:
        return images
    return images.reshape(len(images) // packing, packing * images.shape[1], *images.shape[2:])


def labelled_indices(data: ImageSet, training: GanTraining) -> Tensor:
    """Indices of the labelled images of a semi-supervised GAN: the first of each class in a shuffled order."""
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
    seed = training.seed + LABELLED
    stream = batches(told, rows, seed=seed, start=start, device=state.device, prepare=_signed(state, training))
    return ((batch.images, batch.labels) for batch in stream)


def _signed(state: State, training: GanTraining) -> Callable[[Tensor], Tensor]:
    layout = image_layout(state.device, training)
    return lambda images: to_signed(to_unit(images)).contiguous(memory_format=layout)
