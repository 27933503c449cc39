"""SimBA: coordinate search along an orthonormal basis (pixels or DCT), from score queries."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from attacks import random
from attacks.black_box.first_look import first_look
from attacks.classifier import Classifier
from attacks.norms import L2, Budget, Norm, named_norm, per_sample
from attacks.objectives import wide
from attacks.queue import drive
from attacks.samples import Samples, budgets

Basis = Literal["pixel", "dct"]
"""`pixel`: single values. `dct`: the discrete cosine basis of each channel, low frequencies first."""

_STEP_SIZE = 0.2


@dataclass(frozen=True)
class _Walk:
    samples: Samples
    best: Tensor
    """(N, C, H, W): the iterate."""
    value: Tensor
    """(N,): its score; minus infinity before the first query, which only measures it."""
    order: Tensor
    """(N, C * H * W): the order in which each sample takes the directions."""
    turn: Tensor
    """(N,): how many directions it has tried."""
    backwards: Tensor
    """(N,) bool: whether the positive step along the current direction has failed."""
    spent: Tensor
    """(N,) queries."""
    done: Tensor


def simba(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = L2,
    queries: int = 5000,
    step_size: Budget | None = None,
    basis: Basis = "pixel",
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Step along basis directions in random order, and keep a step where it raises the score (Guo et al., 2019).

    In l2 or linf. Each direction costs one query, or two where the positive step does not help. With `basis="dct"` the
    lowest eighth of the frequencies comes first, then rings around them, as in the paper's strided order. A step has
    the norm `step_size`; it defaults to the paper's 0.2 in l2, and to eps in linf. Each sample spends at most `queries`
    forward passes, two on the clean image included (one to classify, one for its score), and leaves when fooled; one
    that is never fooled is returned as the iterate with the highest score.

    The order depends on (seed, index) alone; storing it takes eight bytes for each value of an image in the batch.
    """
    norm = named_norm(norm)
    if norm.name not in ("l2", "linf"):
        raise ValueError(f"simba has no form for {norm.name}: choose from l2, linf")
    if basis not in _BASES:
        raise ValueError(f"unknown basis {basis!r}: choose from {', '.join(_BASES)}")
    if queries < 1:
        raise ValueError(f"queries must be 1 or more; got {queries}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    if step_size is not None:
        lengths = budgets(step_size, images, norm, option="step_size")
    else:
        lengths = samples.eps if norm.name == "linf" else torch.full_like(samples.eps, _STEP_SIZE)
    directions = _BASES[basis](images)

    def begin(fresh: Samples) -> _Walk:
        draws = random.uniform(seed, fresh.indices, images.shape[1:], dtype=torch.float64)
        order = (draws + directions.rank).flatten(1).argsort(dim=1)
        none, unknown = torch.zeros_like(fresh.labels), wide(torch.full_like(fresh.eps, -torch.inf))
        return _Walk(fresh, fresh.images, unknown, order, none, none > 0, none + 1, none > 0)

    def advance(walk: _Walk) -> _Walk:
        samples, asking = walk.samples, walk.spent == 1
        number = walk.order.gather(1, (walk.turn % walk.order.shape[1])[:, None]).squeeze(1)
        direction = directions.at(number)
        length = torch.where(
            asking, 0, torch.where(walk.backwards, -1, 1) * lengths[samples.rows] / norm.size(direction)
        )
        candidate = norm.project(walk.best + per_sample(length, direction) * direction, samples.images, samples.eps)
        logits = classifier.logits(candidate, rows=samples.rows)
        value, fooled = samples.score(logits), samples.fooled(logits)
        better = (fooled | (value > walk.value)) & ~walk.done
        spent = walk.spent + 1
        return replace(
            walk,
            best=torch.where(better[:, None, None, None], candidate, walk.best),
            value=torch.where(better, value, walk.value),
            turn=walk.turn + (~asking & (better | walk.backwards)),
            backwards=~asking & ~better & ~walk.backwards,
            spent=spent,
            done=walk.done | fooled | (spent >= queries),
        )

    result = samples.images.clone()
    with classifier.frozen():
        left = first_look(classifier, samples, batch_size=batch_size)
        if queries > 1:
            for ended in drive(left, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
                result[ended.samples.rows] = ended.best
    return result


class _Directions(Protocol):
    """A basis of the space of images."""

    rank: Tensor
    """Broadcasts to (C, H, W): directions of lower rank come first."""

    def at(self, number: Tensor) -> Tensor:
        """(N,) numbers from 0 to (N, C, H, W) directions of l2 norm 1."""
        ...


class _Pixels:
    def __init__(self, images: Tensor) -> None:
        self._like = images
        self.rank = torch.zeros((), device=images.device)

    def at(self, number: Tensor) -> Tensor:
        flat = self._like.new_zeros(len(number), self._like[0:1].numel())
        return flat.scatter_(1, number[:, None], 1).reshape(-1, *self._like.shape[1:])


class _Waves:
    """The discrete cosine transform (type II) of each channel."""

    def __init__(self, images: Tensor) -> None:
        self._channels, height, width = images.shape[1:]
        self._vertical, self._horizontal = _cosines(height).to(images), _cosines(width).to(images)
        side = min(height, width)
        first, stride = max(side // 8, 1), max(side // 32, 1)
        highest = torch.maximum(torch.arange(height)[:, None], torch.arange(width))
        self.rank = ((highest - first).div(stride, rounding_mode="floor") + 1).clamp(min=0).to(images.device)

    def at(self, number: Tensor) -> Tensor:
        height, width = len(self._vertical), len(self._horizontal)
        channel, place = number // (height * width), number % (height * width)
        wave = self._vertical[place // width][:, :, None] * self._horizontal[place % width][:, None, :]
        chosen = channel[:, None] == torch.arange(self._channels, device=number.device)
        return torch.where(chosen[:, :, None, None], wave[:, None], 0)


def _cosines(size: int) -> Tensor:
    """(size, size): row k is the wave of frequency k, of norm 1."""
    steps = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(torch.pi * steps[:, None] * (steps + 0.5) / size)
    return waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)


_BASES: dict[str, Callable[[Tensor], _Directions]] = {"pixel": _Pixels, "dct": _Waves}
