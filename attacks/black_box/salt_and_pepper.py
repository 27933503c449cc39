"""Salt-and-pepper noise: the fewest random pixels turned black or white that are misclassified."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.norms import LINF
from attacks.queue import drive
from attacks.samples import Samples

_COLOURS = 1 << 40  # streams of the colours, beyond those of the pixel orders


@dataclass(frozen=True)
class _Search:
    """One row a sample: in its current draw `low` changed pixels do not fool and `high` do (0: none known yet)."""

    samples: Samples
    draw: Tensor
    pixels: Tensor
    low: Tensor
    high: Tensor
    best: Tensor
    best_draw: Tensor
    spent: Tensor
    done: Tensor


def salt_and_pepper(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    queries: int = 200,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Turn random pixels black or white, in all channels at once, and find the smallest number that fools.

    A draw is a random order of the pixels with a colour each. The number of changed pixels doubles until the sample is
    fooled, and bisection then reduces it. New draws follow, each starting with one pixel less than the best so far,
    until `queries` forward passes are spent. A sample that is never fooled, or misclassified from the start, is
    returned unchanged. Draws depend on (seed, index) alone.
    """
    if queries < 1:
        raise ValueError(f"queries must be 1 or more; got {queries}")
    samples = Samples.of(images, labels, eps=None, norm=LINF, targeted=targeted, indices=indices)
    images = samples.images
    places = images.shape[-2] * images.shape[-1]

    def noisy(samples: Samples, draw: Tensor, pixels: Tensor) -> Tensor:
        """The first `pixels` places of the draw, black or white."""
        ranks = random.uniform(seed, samples.indices, (places,), stream=draw).argsort(dim=1).argsort(dim=1)
        colours = random.uniform(seed, samples.indices, (places,), stream=_COLOURS + draw) < 0.5
        shape = (len(samples), 1, *samples.images.shape[-2:])
        changed = (ranks < pixels[:, None]).reshape(shape)
        return torch.where(changed, colours.to(samples.images.dtype).reshape(shape), samples.images)

    def begin(samples: Samples) -> _Search:
        nothing = torch.zeros_like(samples.rows)
        return _Search(
            samples=samples,
            draw=nothing,
            pixels=nothing,
            low=nothing,
            high=nothing,
            best=torch.full_like(nothing, places + 1),
            best_draw=nothing,
            spent=nothing,
            done=nothing.bool(),
        )

    def advance(state: _Search) -> _Search:
        # Query.
        samples, tried = state.samples, state.pixels
        logits = classifier.logits(noisy(samples, state.draw, tried), rows=samples.rows)
        fooled = samples.fooled(logits) & ~state.done
        best = torch.where(fooled, tried, state.best)
        best_draw = torch.where(fooled, state.draw, state.best_draw)
        high, low = torch.where(fooled, tried, state.high), torch.where(fooled, state.low, tried)

        # Next: bisect, or double, or begin a new draw.
        between = (high > 0) & (high - low > 1)
        doubling = (high == 0) & (best > places) & (tried < places)
        afresh = ~between & ~doubling
        more = torch.where(between, (low + high) // 2, (2 * tried).clamp(min=1, max=places))
        fewer = torch.where(best > places, 1, best - 1)
        spent = state.spent + 1
        return replace(
            state,
            draw=state.draw + afresh.long(),
            pixels=torch.where(afresh, fewer, more),
            low=torch.where(afresh, 0, low),
            high=torch.where(afresh, 0, high),
            best=best,
            best_draw=best_draw,
            spent=spent,
            done=state.done | (spent >= queries) | (best <= 1),
        )

    result = samples.images.clone()
    with classifier.frozen():
        for found in drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
            pixels = torch.where(found.best > places, 0, found.best)
            result[found.samples.rows] = noisy(found.samples, found.best_draw, pixels)
    return result
