"""One call of an attack on some images, with all that surrounds it: room in memory, precision, counting, measuring."""

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor

from advgan.ranges import to_bytes, to_unit
from attacks import Attack, Classifier
from evaluation.outcomes import is_label, measured_logits

Precision = Literal["float32", "bfloat16"]
T = TypeVar("T")
log = logging.getLogger("advgan")

LARGEST_BATCH = 1024
"""Where an automatic batch size begins."""


@dataclass
class Room:
    """How many images go through the network at once. An automatic one halves when memory runs out, and stays so."""

    size: int = 256
    automatic: bool = False

    @classmethod
    def of(cls, batch_size: "int | Literal['auto'] | Room") -> "Room":
        """A number as it is; `auto` begins large."""
        if isinstance(batch_size, Room):
            return batch_size
        return cls(LARGEST_BATCH, automatic=True) if batch_size == "auto" else cls(int(batch_size))

    def within(self, call: Callable[[int], T]) -> T:
        """Give a call the size; where memory runs out, call it again with half, down to one image."""
        while True:
            try:
                return call(self.size)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                if not self.automatic or self.size == 1:
                    raise ValueError(
                        f"memory ran out with --batch-size {self.size}: give a smaller one, or --batch-size auto"
                    ) from error
            self.size = max(1, self.size // 2)
            log.info("memory ran out: going on with %d images at once", self.size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


@dataclass(frozen=True)
class Attempt:
    """What one call made of (N, C, H, W) images, on the CPU, one row an image."""

    images: Tensor
    logits: Tensor
    logits_8bit: Tensor
    forwards: Tensor
    backwards: Tensor


def attempt(
    classifier: Classifier,
    attack: Attack,
    images: Tensor,
    aims: Tensor,
    numbers: Tensor,
    *,
    eps: Tensor | None = None,
    room: Room,
    precision: Precision = "float32",
) -> Attempt:
    """Attack images and look at the results once, as they are and rounded to 8 bits, in float32.

    `aims` are the labels to leave or, for an attack bound so, to reach; `numbers` the samples' numbers in the whole
    set; `eps` (N,) budgets for an attack that lacks them. The passes are those of the attack, not of the look. In
    bfloat16 an image that fools only there is attacked again in float32, so that no success is one of precision.
    """
    run = partial(_attacked, classifier, attack, images, aims, numbers, eps, room)
    if precision == "float32":
        return run(numbers >= 0, nullcontext())
    half = torch.autocast(classifier.device.type, torch.bfloat16)
    found = run(numbers >= 0, half)
    with half:
        seen = _logits(classifier, found.images, room)
    again = is_label(found.logits, aims.cpu()) != is_label(seen, aims.cpu())
    if not bool(again.any()):
        return found
    sure = run(again, nullcontext())
    rows = again.nonzero().squeeze(1)
    return Attempt(
        found.images.index_copy(0, rows, sure.images),
        found.logits.index_copy(0, rows, sure.logits),
        found.logits_8bit.index_copy(0, rows, sure.logits_8bit),
        found.forwards.index_add(0, rows, sure.forwards),
        found.backwards.index_add(0, rows, sure.backwards),
    )


def looked_at(classifier: Classifier, images: Tensor, *, room: Room, forwards: int = 0) -> Attempt:
    """What the classifier says of images (N, C, H, W) on the CPU; `forwards` is what each is charged with."""
    passes = torch.full((len(images),), forwards)
    rounded = to_unit(to_bytes(images))
    return Attempt(
        images, _logits(classifier, images, room), _logits(classifier, rounded, room), passes, torch.zeros_like(passes)
    )


def _attacked(
    classifier: Classifier,
    attack: Attack,
    images: Tensor,
    aims: Tensor,
    numbers: Tensor,
    eps: Tensor | None,
    room: Room,
    chosen: Tensor,
    precision: AbstractContextManager[object],
) -> Attempt:
    """Attack the chosen rows, piece by piece, then measure in float32."""
    rows = chosen.nonzero().squeeze(1)
    found = images[rows].clone()
    forwards, backwards = (torch.zeros(len(rows), dtype=torch.int64) for _ in "fb")
    for piece in _pieces(attack, None if eps is None else eps[rows], len(rows), room):
        seats = rows[piece]
        call: Attack = attack if eps is None else partial(attack, eps=_budget(eps[seats]))  # type: ignore[call-arg]
        with precision:
            found[piece], forwards[piece], backwards[piece] = _called(
                classifier, call, images[seats], aims[seats], numbers[seats], room
            )
    return replace(looked_at(classifier, found, room=room), forwards=forwards, backwards=backwards)


def _pieces(attack: Attack, eps: Tensor | None, count: int, room: Room) -> list[Tensor]:
    """All rows at once for an attack that keeps a queue; else batches, each of one budget."""
    everyone = torch.arange(count)
    if count == 0:
        return []
    if _takes(attack, "batch_size"):
        return [everyone]
    groups = [everyone] if eps is None else [(eps == value).nonzero().squeeze(1) for value in eps.unique()]
    return [piece for group in groups for piece in group.split(room.size)]


def _called(
    classifier: Classifier, attack: Attack, images: Tensor, aims: Tensor, numbers: Tensor, room: Room
) -> tuple[Tensor, Tensor, Tensor]:
    """Call the attack on the classifier's device; count the passes of each image."""
    device = classifier.device

    def call(size: int) -> tuple[Tensor, Tensor, Tensor]:
        bounded: Attack = partial(attack, batch_size=size) if _takes(attack, "batch_size") else attack  # type: ignore[call-arg]
        forwards, backwards = classifier.passes.forwards, classifier.passes.backwards
        with classifier.tallied(len(images)) as tally:
            found = bounded(classifier, images.to(device), aims.to(device), indices=numbers.to(device)).detach()
        if found.shape != images.shape:
            raise ValueError(f"the attack returned {tuple(found.shape)} for images {tuple(images.shape)}")
        return (
            found.to("cpu", images.dtype),
            _whole(tally.forwards.cpu(), classifier.passes.forwards - forwards),
            _whole(tally.backwards.cpu(), classifier.passes.backwards - backwards),
        )

    return room.within(call)


def _logits(classifier: Classifier, images: Tensor, room: Room) -> Tensor:
    return room.within(lambda size: torch.cat([measured_logits(classifier, some) for some in images.split(size)]))


def _whole(tally: Tensor, total: int) -> Tensor:
    """Spread what nobody was charged with (an attack that is not ours says nothing of samples) evenly."""
    rest = total - int(tally.sum())
    share = torch.full_like(tally, rest // len(tally))
    share[: rest % len(tally)] += 1
    return tally + share


def _budget(eps: Tensor) -> float | Tensor:
    """One number where all are the same: not every attack takes a tensor."""
    return float(eps[0]) if bool((eps == eps[0]).all()) else eps


def _takes(attack: Attack, option: str) -> bool:
    return option in inspect.signature(attack).parameters


def _out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class of its own for it, the CPU's allocator only a text."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
