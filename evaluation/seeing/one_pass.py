"""One pass over a source: each image is made once, rounded to 8 bits once, and seen once by every extractor."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from advgan.machine.processes import Processes
from advgan.ranges import to_bytes, to_unit
from evaluation.features.features import Extractor, Features
from evaluation.features.seen import Sample
from evaluation.inputs.source import Source, checked
from evaluation.seeing.collectors import Collector, Kept
from evaluation.seeing.feature_cache import FeatureCache

BATCHES_A_BLOCK = 16
"""Batches in a block of a stream: one process collects a block, and blocks are joined in their order."""
Advance = Callable[[int], object]
_TRIED = 8
"""Images whose cached features are compared with newly computed ones."""
_TOLERANCE = 1e-4
"""Tolerance of that comparison, relative to the largest feature: rounding in another batch stays below it."""

log = logging.getLogger("advgan")


class Pass(NamedTuple):
    """The result of a pass in the first process; empty in the others."""

    collected: list[Any]
    """One collector for each extractor."""
    images: Tensor | None
    """(N, C, H, W) uint8, or float for points, on the CPU; None where they were not kept."""


class _Block(NamedTuple):
    collectors: list[Any]
    images: list[Tensor]
    device: torch.device
    """Where the features are."""


def look(
    source: Source,
    extractors: Sequence[Extractor],
    *,
    batch_size: int = 128,
    processes: Processes | None = None,
    keep_images: bool = True,
    cache: FeatureCache | None = None,
    advance: Advance = lambda count: None,
) -> list[Sample]:
    """See a source by each extractor; in the first process one sample for each, in the others none.

    Batch k is made of the images from k * batch_size on, whoever looks at it, so the samples are the same bits for one
    process or many. `cache` gives the features of stored images that were seen before, and keeps new ones; before
    they are believed the extractor looks at a few of the images, since a digest of weights says nothing of the code.
    `advance` hears how many images this process has seen since the last time.
    """
    processes = processes or Processes()
    known = [_known(source, each, batch_size, cache if processes.is_first else None) for each in extractors]
    missing = processes.from_first([number for number, found in enumerate(known) if found is None])
    passed = stream(
        source,
        [extractors[number] for number in missing],
        lambda extractor: Kept(),
        batch_size=batch_size,
        batches_a_block=1,
        processes=processes,
        keep_images=keep_images,
        advance=advance,
    )
    if not processes.is_first:
        return []
    for number, kept in zip(missing, passed.collected, strict=True):
        known[number] = found = _features(extractors[number], kept)
        if cache:
            cache.write(source, extractors[number], batch_size, found)
    return [
        Sample(
            features=found,
            labels=source.labels,
            images=passed.images,
            name=source.name,
            digest=source.digest,
            drawn_from=source.drawn_from,
            asked=source.asked,
        )
        for found in known
        if found is not None
    ]


def stream(
    source: Source,
    extractors: Sequence[Extractor],
    collect: Callable[[Extractor], Collector],
    *,
    batch_size: int = 128,
    batches_a_block: int = BATCHES_A_BLOCK,
    processes: Processes | None = None,
    keep_images: bool = False,
    advance: Advance = lambda count: None,
) -> Pass:
    """Show every image to every extractor once, and what it sees to a collector of `collect`.

    The batches are shared out in blocks, each with collectors of its own, which the first process joins in order: so
    sums are rounded alike for one process or many. Nothing is looked at where there is neither an extractor nor an
    image to keep.
    """
    processes = processes or Processes()
    if not extractors and not keep_images:
        return Pass([], None)
    batches = list(torch.arange(source.count).split(batch_size))
    blocks = [batches[start : start + batches_a_block] for start in range(0, len(batches), batches_a_block)]
    mine = (_look_at(source, extractors, collect, block, keep_images, advance) for block in processes.share(blocks))
    if processes.count == 1:
        return _pass(reduce(_joined, mine))
    seen = list(mine)
    everybody = processes.gathered([_moved(block, torch.device("cpu")) for block in seen])
    if not processes.is_first:
        return Pass([], None)
    home = seen[0].device
    in_order = (everybody[number % processes.count][number // processes.count] for number in range(len(blocks)))
    return _pass(reduce(_joined, (_moved(block, home) for block in in_order)))


def _look_at(
    source: Source,
    extractors: Sequence[Extractor],
    collect: Callable[[Extractor], Collector],
    block: Sequence[Tensor],
    keep_images: bool,
    advance: Advance,
) -> _Block:
    collectors, kept, device = [collect(extractor) for extractor in extractors], list[Tensor](), torch.device("cpu")
    for numbers in block:
        images = source.images(numbers)
        rounded = _rounded(source, images, extractors)
        views = {each: to_unit(rounded if each else images) for each in {one.rounds for one in extractors}}
        for extractor, collector in zip(extractors, collectors, strict=True):
            values, probabilities = extractor.function(views[extractor.rounds])
            collector.add(values, probabilities)
            device = values.device
        if keep_images:
            kept.append((images if source.points else rounded).cpu())
        advance(len(numbers))
    return _Block(collectors, kept, device)


def _moved(block: _Block, device: torch.device) -> _Block:
    return block._replace(collectors=[collector.to(device) for collector in block.collectors])


def _known(source: Source, extractor: Extractor, batch_size: int, cache: FeatureCache | None) -> Features | None:
    """Kept features, where the extractor still gives them."""
    found = cache.read(source, extractor, batch_size) if cache else None
    if found is None:
        return None
    images = source.images(torch.arange(min(_TRIED, source.count)))
    seen = extractor.function(to_unit(_rounded(source, images, [extractor])))
    if all(_close(now, then) for now, then in zip(seen, (found.values, found.probabilities), strict=True)):
        home, other = (each.device for each in seen)
        return replace(found, values=found.values.to(home), probabilities=found.probabilities.to(other))
    log.warning("%s %s gives other features than it gave: they are made anew", extractor.name, extractor.digest)
    return None


def _close(now: Tensor, then: Tensor) -> bool:
    if now.shape[1:] != then.shape[1:] or now.dtype != then.dtype:
        return False
    difference = (now.cpu() - then[: len(now)]).abs().max()
    return bool(difference <= _TOLERANCE * then[: len(now)].abs().max())


def _rounded(source: Source, images: Tensor, extractors: Sequence[Extractor]) -> Tensor:
    """Images as bytes; points only where an extractor wants them so, and then they must be in the unit range."""
    if images.dtype == torch.uint8 or (source.points and not any(each.rounds for each in extractors)):
        return images
    return to_bytes(checked(images, len(images), name=source.name))


def _joined(first: _Block, second: _Block) -> _Block:
    collectors = [one.join(other) for one, other in zip(first.collectors, second.collectors, strict=True)]
    return first._replace(collectors=collectors, images=[*first.images, *second.images])


def _pass(block: _Block) -> Pass:
    return Pass(block.collectors, torch.cat(block.images) if block.images else None)


def _features(extractor: Extractor, kept: Kept) -> Features:
    return Features(
        torch.cat(kept.values),
        torch.cat(kept.probabilities),
        extractor.name,
        extractor.digest,
        extractor.protocol,
        extractor.confidence,
    )
