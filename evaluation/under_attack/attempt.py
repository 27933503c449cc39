"""One call of an attack on some images: batches that fit in memory, precision, passes counted, results classified."""

import inspect
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from advgan.machine.precision import true_float32
from advgan.machine.room import Room
from advgan.ranges import to_bytes, to_unit
from attacks import Attack, Classifier
from evaluation.under_attack.eight_bits import EightBit, seen_in_eight_bits, within_levels
from evaluation.under_attack.outcomes import is_label, measured_logits

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Attempt:
    """The results of one attack call on N images, all on the CPU: images, logits (N, classes) and passes (N,)."""

    images: Tensor
    logits: Tensor
    logits_8bit: Tensor
    forwards: Tensor
    backwards: Tensor


@true_float32()
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
    eight_bit: bool = False,
) -> Attempt:
    """Attack images and classify the results in float32, as they are and rounded to 8 bits.

    `aims` (N,) are the true labels or, for a targeted attack, the target classes; `numbers` (N,) the images' indices in
    the whole set; `eps` (N,) budgets for an attack without one. Only passes of the attack are counted. With bfloat16,
    images that are adversarial in only one of the precisions are attacked again in float32.
    """
    run = partial(_attacked, classifier, attack, images, aims, numbers, eps, room, eight_bit)
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


@true_float32()
def looked_at(classifier: Classifier, images: Tensor, *, room: Room, forwards: int = 0) -> Attempt:
    """Classify images (N, C, H, W) on the CPU without attacking; `forwards` is the number of passes noted for each."""
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
    eight_bit: bool,
    chosen: Tensor,
    precision: AbstractContextManager[object],
) -> Attempt:
    """Attack the chosen rows, piece by piece, then measure in float32."""
    rows = chosen.nonzero().squeeze(1)
    found = images[rows].clone()
    attacked = seen_in_eight_bits(classifier) if eight_bit else classifier
    forwards, backwards = (torch.zeros(len(rows), dtype=torch.int64) for _ in "fb")

    def call(size: int) -> Tensor:
        """Attack the first `size` of the remaining images; return their rows."""
        piece = left if _takes(attack, "batch_size") else left[:size]
        seats = rows[piece]
        bounded: Attack = attack if eps is None else partial(attack, eps=_budget(eps[seats]))  # type: ignore[call-arg]
        with precision:
            found[piece], forwards[piece], backwards[piece] = _called(
                attacked, bounded, images[seats], aims[seats], numbers[seats], size
            )
        return piece

    for left in _groups(attack, None if eps is None else eps[rows], len(rows)):
        while len(left):
            left = left[len(room.within(call, most=len(left))) :]
    return replace(looked_at(classifier, found, room=room), forwards=forwards, backwards=backwards)


def _groups(attack: Attack, eps: Tensor | None, count: int) -> list[Tensor]:
    """All rows in one group for an attack that takes a budget per image; else one group per budget."""
    everyone = torch.arange(count)
    if eps is None or _takes(attack, "batch_size"):
        return [everyone]
    return [(eps == value).nonzero().squeeze(1) for value in eps.unique()]


def _called(
    classifier: Classifier, attack: Attack, images: Tensor, aims: Tensor, numbers: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Call the attack on the classifier's device, in batches of that size; count the passes of each image."""
    device = classifier.device
    bounded: Attack = partial(attack, batch_size=size) if _takes(attack, "batch_size") else attack  # type: ignore[call-arg]
    bounded = within_levels(bounded, images.to(device)) if isinstance(classifier, EightBit) else bounded
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


def _logits(classifier: Classifier, images: Tensor, room: Room) -> Tensor:
    return room.within(
        lambda size: torch.cat([measured_logits(classifier, some) for some in images.split(size)]), most=len(images)
    )


def _whole(tally: Tensor, total: int) -> Tensor:
    """Spread passes not assigned to an image, as those of attacks from other libraries, evenly over all images."""
    rest = total - int(tally.sum())
    share = torch.full_like(tally, rest // len(tally))
    share[: rest % len(tally)] += 1
    return tally + share


def _budget(eps: Tensor) -> float | Tensor:
    """A float where all budgets (N,) are equal, since not every attack takes a tensor."""
    return float(eps[0]) if bool((eps == eps[0]).all()) else eps


def _takes(attack: Attack, option: str) -> bool:
    return option in inspect.signature(attack).parameters
