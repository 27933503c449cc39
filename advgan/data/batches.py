"""Batches of a set: shuffled without end for training, or once in the stored order for evaluation.

The order of an epoch is a function of (seed, epoch) alone, so batch k of a stream is the same in a run that starts at 0
and in one that resumes at k; nothing has to be saved but the number of batches used.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.data.imageset import ImageSet
from attacks.random import permutation

RESIDENT_SHARE = 0.25  # of the free memory of an accelerator; the rest is for networks and activations
GATHERED, MOST = {"cpu": 1 << 20, "device": 1 << 25}, 32
"""Bytes of float images, and batches, that are taken from a resident set at once: on a CPU they stay in its cache, on
another device each operator has a cost of its own."""
_FETCHED_AHEAD = 2  # batches


class Batch(NamedTuple):
    """Part of a set, on the device."""

    indices: Tensor
    """(N,) int64: where in the set each image stands, to key augmentation and noise by sample."""
    images: Tensor
    """(N,C,H,W) uint8, or float32 points."""
    labels: Tensor
    """(N,) int64."""
    epoch: int
    """Counted from 0, to tell apart two uses of the same image."""


def batches_per_epoch(images: ImageSet, batch_size: int, *, drop_last: bool = True) -> int:
    """Count the batches of one epoch.

    Raises ValueError where `drop_last` leaves none.
    """
    count = len(images) // batch_size if drop_last else -(-len(images) // batch_size)
    if count == 0:
        raise ValueError(
            f"batch_size {batch_size} exceeds the {len(images):,} images of {images.name or 'the set'}: "
            f"use {max(1, len(images))} or fewer"
        )
    return count


def batches(
    images: ImageSet,
    batch_size: int,
    *,
    seed: int,
    start: int = 0,
    device: torch.device | str = "cpu",
    drop_last: bool = True,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Batch]:
    """Shuffle and batch a set without end, from batch number `start` on.

    With `drop_last` every batch is whole, and an epoch leaves out the fewer than `batch_size` images that its order
    puts last; without it each epoch gives each image exactly once, in a last batch that may be smaller. A set that fits
    into `RESIDENT_SHARE` of the device's free memory is moved there once, another is read ahead by a thread. `prepare`
    is done to the images on the device, of several batches at once where they are small.

    Raises ValueError where `drop_last` leaves no batch at all.
    """
    batches_per_epoch(images, batch_size, drop_last=drop_last)  # refuses before anything is read
    device = torch.device(device)
    orders = _shuffled(images, batch_size, seed=seed, start=start, drop_last=drop_last)
    return _fetch(images, orders, device, prepare)


def epoch(images: ImageSet, batch_size: int, *, device: torch.device | str = "cpu") -> Iterator[Batch]:
    """Give every image once, in the stored order, as epoch 0: for evaluation."""
    slices = torch.arange(len(images)).split(batch_size)
    return _fetch(images, ((0, indices) for indices in slices), torch.device(device))


def _shuffled(
    images: ImageSet, batch_size: int, *, seed: int, start: int, drop_last: bool
) -> Iterator[tuple[int, Tensor]]:
    """Yield (epoch, indices) without end."""
    per_epoch = batches_per_epoch(images, batch_size, drop_last=drop_last)
    first_epoch, used = divmod(start, per_epoch)
    for number in count(first_epoch):
        order = permutation(seed, len(images), stream=number).split(batch_size)
        for indices in order[used:per_epoch]:
            yield number, indices
        used = 0


def _fetch(
    images: ImageSet,
    orders: Iterable[tuple[int, Tensor]],
    device: torch.device,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Batch]:
    if device.type == "cpu" or images.images.nbytes <= _room(device):
        return _resident(images, orders, device, prepare)
    found = _read_ahead(images, orders, device)
    return found if prepare is None else (batch._replace(images=prepare(batch.images)) for batch in found)


def _resident(
    images: ImageSet,
    orders: Iterable[tuple[int, Tensor]],
    device: torch.device,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Batch]:
    pixels, labels = images.images.to(device), images.labels.to(device)
    together = GATHERED["cpu" if device.type == "cpu" else "device"] // (4 * pixels[:1].numel())
    for group in _groups(orders, together):
        sizes = [len(order) for _, order in group]
        indices = _pinned(torch.cat([order for _, order in group]), device).to(device, non_blocking=True)
        seen = pixels[indices] if prepare is None else prepare(pixels[indices])
        columns = zip(indices.split(sizes), seen.split(sizes), labels[indices].split(sizes), strict=True)
        for (number, _), (some, shown, known) in zip(group, columns, strict=True):
            yield Batch(some, shown, known, number)


def _groups(orders: Iterable[tuple[int, Tensor]], together: int) -> Iterator[list[tuple[int, Tensor]]]:
    """Join batches as long as they have at most `together` images and `MOST` members; each has at least one."""
    group: list[tuple[int, Tensor]] = []
    for order in orders:
        group.append(order)
        if len(group) == MOST or (len(group) + 1) * len(group[0][1]) > together:
            yield group
            group = []
    if group:
        yield group


def _pinned(column: Tensor, device: torch.device) -> Tensor:
    """Only from pinned memory does a copy to CUDA not wait for the device."""
    return column.pin_memory() if device.type == "cuda" else column


def _read_ahead(images: ImageSet, orders: Iterable[tuple[int, Tensor]], device: torch.device) -> Iterator[Batch]:
    """Gather on the host in a thread, so that reading a memory-mapped file and copying overlap with training."""

    def gather(number: int, indices: Tensor) -> Batch:
        columns = (indices, images.images[indices], images.labels[indices])
        on_device = [_pinned(column, device).to(device, non_blocking=True) for column in columns]
        return Batch(on_device[0], on_device[1], on_device[2], number)

    yield from _ahead(gather, orders)


def _ahead(gather: Callable[[int, Tensor], Batch], orders: Iterable[tuple[int, Tensor]]) -> Iterator[Batch]:
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for order in orders:
            pending.append(pool.submit(gather, *order))
            if len(pending) > _FETCHED_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _room(device: torch.device) -> float:
    """Bytes that a set may take up on an accelerator; where the device cannot tell, 1 GiB."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return RESIDENT_SHARE * free
    return float(1 << 30)
